//! Calls that are dropped at any moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use session_core::{Bytes, SessionHandler};
use session_mysql::{MysqlHandler, Schema};
use session_tests::proxy::{Direction, Fault, Proxy};
use sqlx::mysql::MySqlPoolOptions;

use crate::cuts::address;
use crate::support::*;

on_both! {
    no_reply_ever_reaches_another_request
    no_reply_ever_reaches_another_request_on_a_pool
}

/// How long calls are made and dropped.
const TIME: Duration = Duration::from_secs(6);
const TASKS: usize = 24;

/// How many calls are dropped at the least; a long run asks for more, and takes
/// as long as that needs.
fn cancellations() -> usize {
    let asked = std::env::var("SESSION_TEST_CANCELLATIONS").ok();
    asked.map_or(500, |count| count.parse().expect("a number"))
}

async fn no_reply_ever_reaches_another_request(kind: Kind) {
    let proxy = Proxy::start(address(&kind.shared().url())).await.expect("a proxy");
    let mut config = config(kind.shared()).with_max_connections(6);
    config.url = Some(proxy.url(&kind.shared().url()));
    drops(open(config).await, &proxy).await;
}

async fn no_reply_ever_reaches_another_request_on_a_pool(kind: Kind) {
    let proxy = Proxy::start(address(&kind.shared().url())).await.expect("a proxy");
    let config = config(kind.shared());
    open(config.clone()).await;
    let pool = MySqlPoolOptions::new().max_connections(6);
    let pool = pool.connect_lazy(&proxy.url(&kind.shared().url())).expect("a pool");
    let config = on_a_pool(&config).with_schema(Schema::Check);
    drops(MysqlHandler::from_pool(pool, config).expect("a configuration"), &proxy).await;
}

/// Tasks with a session each, whose payload says whose it is. What a task reads
/// is its own, and never older than what it knows to be written.
async fn drops(handler: MysqlHandler, proxy: &Proxy) {
    let handler = Arc::new(handler);
    proxy.set(Direction::Reply, Fault::Delay(Duration::from_millis(1)));
    let dropped = Arc::new(AtomicUsize::new(0));
    let (end, enough) = (Instant::now() + TIME, cancellations());
    let tasks = (0..TASKS).map(|task| {
        let (handler, dropped) = (Arc::clone(&handler), Arc::clone(&dropped));
        tokio::spawn(async move {
            let (key, absent) = (fresh_key(), fresh_key());
            let payload =
                |round: usize| Bytes::from(format!("{task} {round} {}", "x".repeat(task * 97)));
            handler.write(&key, payload(0), &creating()).await.expect("create");
            let (mut known, mut round) = (0, 0);
            while Instant::now() < end || dropped.load(Ordering::Relaxed) < enough {
                round += 1;
                let limit = Duration::from_micros(fastrand::u64(0..6000));
                let call = async {
                    match fastrand::u8(0..5) {
                        0 | 1 => {
                            let stored =
                                handler.read(&key).await.expect("read").expect("its session");
                            let text = String::from_utf8(stored.payload.to_vec()).expect("text");
                            let mut words = text.split(' ');
                            let mut number =
                                || words.next().and_then(|word| word.parse::<usize>().ok());
                            assert_eq!(number(), Some(task), "somebody else's session");
                            assert!(number() >= Some(known), "an older payload");
                            None
                        }
                        2 => {
                            handler.write(&key, payload(round), &replacing()).await.expect("write");
                            Some(round)
                        }
                        3 => {
                            assert!(handler.touch(&key, LONG).await.expect("touch"));
                            None
                        }
                        _ => {
                            assert!(handler.read(&absent).await.expect("read").is_none());
                            None
                        }
                    }
                };
                match tokio::time::timeout(limit, call).await {
                    Ok(Some(written)) => known = written,
                    Ok(None) => {}
                    Err(_) => drop(dropped.fetch_add(1, Ordering::Relaxed)),
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("a task");
    }
    assert!(dropped.load(Ordering::Relaxed) >= enough, "hardly anything was dropped");
    proxy.heal();
    works(&handler).await;
}
