//! Callers who go away: nobody gets the reply that was theirs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use session_core::{SessionHandler, SessionKey};
use session_mongo::MongoHandler;
use session_tests::proxy::{Direction, Fault, Proxy};
use session_tests::servers::Mongo;

use crate::outages::with_option;
use crate::support::*;

/// How many calls are dropped at the least; a long run asks for more.
fn cancellations() -> usize {
    let asked = std::env::var("SESSION_TEST_CANCELLATIONS").ok();
    asked.map_or(100, |count| count.parse().unwrap())
}

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
    let (dropped, enough) = (Arc::new(AtomicUsize::new(0)), cancellations());
    let callers = (0..8).map(|_| {
        let (handler, sessions) = (handler.clone(), sessions.clone());
        let dropped = Arc::clone(&dropped);
        tokio::spawn(async move {
            let mut made = 0;
            while made < 150 || dropped.load(Ordering::Relaxed) < enough {
                made += 1;
                let key = fastrand::choice(&sessions).unwrap();
                let patience = Duration::from_micros(fastrand::u64(0..15_000));
                let call = any_call(&handler, key);
                if tokio::time::timeout(patience, call).await.is_err() {
                    dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
        })
    });
    for caller in join_all(callers).await {
        caller.unwrap();
    }
    let dropped = dropped.load(Ordering::Relaxed);
    assert!(dropped >= enough, "only {dropped} calls were dropped in their midst");
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
