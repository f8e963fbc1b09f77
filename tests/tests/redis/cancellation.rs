//! Calls that are dropped at any moment, on a connection that all share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use session_core::{ErrorKind, SessionHandler};
use session_redis::{RedisConfig, RedisHandler};
use session_tests::proxy::{Direction, Fault, Proxy};
use session_tests::servers::Redis;

use crate::support::*;

/// How many calls are dropped: 20,000, or as many as `SESSION_TEST_CANCELLATIONS` says,
/// which a long run sets to a million and more.
fn cancellations() -> u64 {
    let asked = std::env::var("SESSION_TEST_CANCELLATIONS").ok();
    asked.map_or(20_000, |count| count.parse().unwrap())
}

/// Every session holds the name of its key. Calls are dropped after a random time
/// while replies are under way; whoever gets a reply gets that of his own session.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reply_ever_reaches_another_call() {
    let redis = Redis::valkey().start().await.unwrap();
    let proxy = Proxy::start(redis.address()).await.unwrap();
    for direction in [Direction::Request, Direction::Reply] {
        proxy.set(direction, Fault::Delay(Duration::from_millis(2)));
    }
    // Only who is dropped may go without an answer, however busy the machine is.
    let config = RedisConfig::new(proxy.url(&redis.url()));
    let handler = RedisHandler::new(config.with_timeout(Duration::from_secs(600))).unwrap();
    let (dropped, answered) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let typical = Arc::new(AtomicU64::new(10_000));
    let tasks: Vec<_> = (0..200)
        .map(|_| {
            let handler = handler.clone();
            let (dropped, answered) = (Arc::clone(&dropped), Arc::clone(&answered));
            let typical = Arc::clone(&typical);
            tokio::spawn(async move {
                let key = fresh_key();
                let tag = key.to_string();
                write(&handler, &key, &tag, &creating()).await.unwrap();
                while dropped.load(Ordering::Relaxed) < cancellations() {
                    // About half of the calls are done before their time is over.
                    let longest = 3 * typical.load(Ordering::Relaxed);
                    let patience = Duration::from_micros(fastrand::u64(0..longest));
                    let begin = Instant::now();
                    let call = async {
                        match fastrand::u8(0..4) {
                            0 | 1 => {
                                let found = handler.read(&key).await.unwrap().unwrap();
                                assert_eq!(found.payload, tag, "another call's reply");
                            }
                            2 => {
                                let stored = handler.read(&key).await.unwrap().unwrap();
                                assert_eq!(stored.payload, tag, "another call's reply");
                                // What was dropped may have been written meanwhile.
                                let options = at(&stored.version);
                                let result = write(&handler, &key, &tag, &options).await;
                                if let Err(err) = result {
                                    assert_eq!(err.kind(), ErrorKind::Conflict, "{err}");
                                }
                            }
                            _ => assert!(handler.touch(&key, LONG).await.unwrap()),
                        }
                    };
                    match tokio::time::timeout(patience, call).await {
                        Ok(()) => {
                            let took = begin.elapsed().as_micros() as u64;
                            typical.store(took.max(1000), Ordering::Relaxed);
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(_) => {
                            dropped.fetch_add(1, Ordering::Relaxed);
                            // Who is answered never must not give up ever sooner.
                            typical.fetch_add(10, Ordering::Relaxed);
                        }
                    }
                }
                assert_eq!(payload(&handler, &key).await, Some(tag));
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let answered = answered.load(Ordering::Relaxed);
    assert!(answered > 100, "hardly a call was answered: {answered}");
    assert_eq!(proxy.accepted(), 1, "a dropped call cost the connection");
}
