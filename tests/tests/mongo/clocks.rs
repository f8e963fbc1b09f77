//! Clocks that disagree: the server's decides.

use std::time::Duration;

use session_core::{SessionHandler, SessionLister};
use session_tests::servers::Mongo;

use crate::support::*;

/// Starts a server whose clock is so many seconds ahead of ours.
async fn off_by(seconds: i32) -> Mongo {
    Mongo::mongodb().time(&format!("{seconds:+}s")).start().await.unwrap()
}

/// The whole contract, five minutes apart.
#[test]
fn a_clock_that_is_off_by_five_minutes_does_not_matter() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for seconds in [-300, 300] {
        let mongo = runtime.block_on(off_by(seconds));
        holds_the_contract(|| patient(&mongo.url()));
    }
}

#[tokio::test]
async fn lifetimes_are_counted_by_the_server() {
    for seconds in [-300, 300] {
        let mongo = off_by(seconds).await;
        let ours = mongodb::bson::DateTime::now().timestamp_millis();
        let hello = mongo.command(mongodb::bson::doc! { "hello": 1 }).await.unwrap();
        let theirs = hello.get_datetime("localTime").unwrap().timestamp_millis();
        let apart = (theirs - ours) / 1000 - i64::from(seconds);
        assert!(apart.abs() < 100, "the server's clock is not off: {apart}");
        let handler = default(&mongo.url()).await;
        for _ in 0..2 {
            let (key, _) = create(&handler).await;
            let left = handler.read(&key).await.unwrap().unwrap().remaining.unwrap();
            assert!(left <= LONG && left + Duration::from_secs(60) > LONG, "{left:?}");
        }
        for meta in handler.list(&session_core::PageRequest::first(10)).await.unwrap().items {
            assert!(meta.age < Duration::from_secs(60) && meta.idle < Duration::from_secs(60));
        }
    }
}
