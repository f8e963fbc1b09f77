//! Callers who go away: nobody gets the reply that was theirs.

use std::time::Duration;

use futures_util::future::join_all;
use session_core::{SessionHandler, SessionKey};
use session_mongo::MongoHandler;
use session_tests::proxy::{Direction, Fault, Proxy};
use session_tests::servers::Mongo;

use crate::outages::with_option;
use crate::support::*;

/// Calls on many sessions are dropped at random moments of a slow line's round
/// trip. Each session holds its own key, and whoever reads gets that or nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reply_reaches_another_call() {
    let mongo = Mongo::mongodb().start().await.unwrap();
    let proxy = Proxy::start(mongo.address()).await.unwrap();
    let url = with_option(&proxy.url(&mongo.url()), "maxPoolSize=4");
    let handler = open(patient(&url).with_database("tests")).await;
    let sessions: Vec<SessionKey> =
        join_all((0..16).map(|_| create(&handler))).await.into_iter().map(|made| made.0).collect();
    proxy.set(Direction::Reply, Fault::Delay(Duration::from_millis(5)));
    let callers = (0..8).map(|_| {
        let (handler, sessions) = (handler.clone(), sessions.clone());
        tokio::spawn(async move {
            let mut dropped = 0;
            for _ in 0..150 {
                let key = fastrand::choice(&sessions).unwrap();
                let patience = Duration::from_micros(fastrand::u64(0..15_000));
                let call = any_call(&handler, key);
                dropped += u32::from(tokio::time::timeout(patience, call).await.is_err());
            }
            dropped
        })
    });
    let dropped: u32 = join_all(callers).await.into_iter().map(Result::unwrap).sum();
    assert!(dropped > 100, "only {dropped} calls were dropped in their midst");
    proxy.heal();
    for key in &sessions {
        assert_eq!(handler.read(key).await.unwrap().unwrap().payload, tag(key));
    }
}

async fn any_call(handler: &MongoHandler, key: &SessionKey) {
    match fastrand::u8(..5) {
        0 => {
            handler.write(key, tag(key), &replacing()).await.unwrap();
        }
        1 => assert!(handler.touch(key, 2 * LONG).await.unwrap()),
        2 => assert!(handler.read(&fresh_key()).await.unwrap().is_none()),
        _ => assert_eq!(handler.read(key).await.unwrap().unwrap().payload, tag(key)),
    }
}
