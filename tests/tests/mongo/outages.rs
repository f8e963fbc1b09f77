//! A server that goes away, hangs, comes back, or is cut off.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use session_core::{Bytes, Error, ErrorKind, Result, SessionHandler, SessionKey};
use session_mongo::{MongoConfig, MongoHandler};
use session_tests::proxy::{Direction, Fault, Proxy};
use session_tests::servers::{Mongo, Shared};

use crate::support::*;

/// Expects that a store that is out of order says so, and in time.
fn outage<T>(result: Result<T>, begin: Instant) -> Error {
    let elapsed = begin.elapsed();
    let err = result.err().expect("the server does not answer");
    assert!(matches!(err.kind(), ErrorKind::Unavailable | ErrorKind::Timeout), "{err}");
    assert!(elapsed < DEADLINE + LATE, "an answer after {elapsed:?}: {err}");
    err
}

/// Expects that no call succeeds, and each answers in time.
async fn all_fail(handler: &MongoHandler, key: &SessionKey) {
    let begin = Instant::now();
    outage(handler.read(key).await, begin);
    let begin = Instant::now();
    outage(handler.write(key, tag(key), &replacing()).await, begin);
    let begin = Instant::now();
    outage(handler.write(&fresh_key(), tag(key), &creating()).await, begin);
    let begin = Instant::now();
    outage(handler.touch(key, LONG).await, begin);
    let begin = Instant::now();
    outage(handler.destroy(&fresh_key(), None).await, begin);
}

#[tokio::test]
async fn after_a_restart_the_first_request_succeeds() {
    let mongo = Mongo::mongodb().start().await.unwrap();
    let handler = default(&mongo.url()).await;
    let (key, version) = create(&handler).await;
    for shut_down in [false, true] {
        if shut_down {
            mongo.process().shutdown().await.unwrap();
        } else {
            mongo.process().kill();
        }
        mongo.restart().await.unwrap();
        let found = handler.read(&key).await.unwrap().expect("the old session");
        assert_eq!((found.payload, found.version), (tag(&key), version.clone()));
    }
    mongo.process().kill();
    mongo.restart().await.unwrap();
    handler.write(&key, tag(&key), &at(version)).await.unwrap();
    mongo.process().kill();
    mongo.restart().await.unwrap();
    assert!(handler.touch(&key, 2 * LONG).await.unwrap());
}

#[tokio::test]
async fn a_server_that_is_gone_is_answered_for_in_time() {
    let mongo = Mongo::mongodb().start().await.unwrap();
    let handler = default(&mongo.url()).await;
    let (key, _) = create(&handler).await;
    mongo.process().kill();
    all_fail(&handler, &key).await;
    mongo.restart().await.unwrap();
    assert!(handler.read(&key).await.unwrap().is_some());
}

#[tokio::test]
async fn a_server_that_hangs_is_answered_for_in_time() {
    let mongo = Mongo::mongodb().start().await.unwrap();
    let handler = default(&mongo.url()).await;
    let (key, _) = create(&handler).await;
    mongo.process().stop();
    all_fail(&handler, &key).await;
    mongo.process().resume();
    let patient = open(patient(&mongo.url()).with_database("tests")).await;
    assert_eq!(patient.read(&key).await.unwrap().unwrap().payload, tag(&key));
    while handler.read(&key).await.is_err() {}
}

#[tokio::test]
async fn a_server_that_never_was_there_is_one_clear_line() {
    let uri = "mongodb://user:hunter2@127.0.0.1:1/app";
    let handler = MongoHandler::new(MongoConfig::new(uri)).unwrap();
    let begin = Instant::now();
    let err = outage(handler.open().await, begin);
    let text = err.to_string();
    assert!(text.contains("hosts") && !text.contains('\n'), "{text}");
    assert!(!told(&err).contains("hunter2"));
    assert!(!err.is_indeterminate());
}

/// Counters go on while the server is killed and started again: what was
/// acknowledged is there, and what failed happened once or not at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_in_a_restart_under_load() {
    let mongo = Mongo::mongodb().start().await.unwrap();
    let handler = default(&mongo.url()).await;
    let over = Arc::new(AtomicBool::new(false));
    let made = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (handler, over, made) = (handler.clone(), Arc::clone(&over), Arc::clone(&made));
            tokio::spawn(async move {
                let key = fresh_key();
                handler.write(&key, number(0), &creating()).await.unwrap();
                made.fetch_add(1, Ordering::SeqCst);
                let (mut acknowledged, mut unknown) = (0, 0);
                while !over.load(Ordering::SeqCst) {
                    match count_up(&handler, &key).await {
                        Ok(()) => {
                            acknowledged += 1;
                            made.fetch_add(1, Ordering::SeqCst);
                        }
                        Err(err) if err.is_indeterminate() => unknown += 1,
                        Err(err) => assert!(err.kind().is_outage(), "{err}"),
                    }
                }
                (key, acknowledged, unknown)
            })
        })
        .collect();
    for _ in 0..2 {
        let before = made.load(Ordering::SeqCst);
        while made.load(Ordering::SeqCst) < before + 40 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        mongo.process().kill();
        mongo.restart().await.unwrap();
    }
    let before = made.load(Ordering::SeqCst);
    while made.load(Ordering::SeqCst) < before + 40 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    over.store(true, Ordering::SeqCst);
    for task in tasks {
        let (key, acknowledged, unknown) = task.await.unwrap();
        let stored = read_number(&handler, &key).await;
        assert!(
            (acknowledged..=acknowledged + unknown).contains(&stored),
            "{stored} of {acknowledged} acknowledged and {unknown} unknown"
        );
    }
}

pub(crate) fn number(number: u64) -> Bytes {
    Bytes::copy_from_slice(&number.to_le_bytes())
}

pub(crate) async fn read_number(handler: &MongoHandler, key: &SessionKey) -> u64 {
    let stored = handler.read(key).await.unwrap().unwrap();
    u64::from_le_bytes(stored.payload[..].try_into().unwrap())
}

/// Adds one, if nobody else wrote. Whoever is alone meets no conflict.
pub(crate) async fn count_up(handler: &MongoHandler, key: &SessionKey) -> Result<()> {
    let stored = handler.read(key).await?.expect("the session lives");
    let next = u64::from_le_bytes(stored.payload[..].try_into().unwrap()) + 1;
    handler.write(key, number(next), &at(stored.version)).await.map(drop)
}

/// A connection is cut after each byte of a request, and of its reply: what
/// succeeded happened, what certainly did not happen did not, and the next call works.
#[tokio::test]
async fn a_cut_at_any_point_is_no_lie() {
    let mongo = Mongo::mongodb().start().await.unwrap();
    let proxy = Proxy::start(mongo.address()).await.unwrap();
    let handler = open(patient(&proxy.url(&mongo.url())).with_database("tests")).await;
    let direct = open(patient(&mongo.url()).with_database("tests")).await;
    let (key, mut version) = create(&handler).await;
    let (mut rounds, mut hits) = (0, 0);
    for direction in [Direction::Request, Direction::Reply] {
        for (round, fault) in cuts().into_iter().enumerate() {
            let value = Bytes::from(format!("{direction:?} {round} to be stored"));
            let hit = match direction {
                Direction::Request => proxy.next_with(Direction::Request, &value, fault),
                Direction::Reply => proxy.next_with(Direction::Reply, b"nModified", fault),
            };
            let written = handler.write(&key, value.clone(), &at(version.clone())).await;
            rounds += 1;
            // A driver that is still looking for the server sends nothing that is cut.
            if tokio::time::timeout(Duration::from_secs(2), hit.wait()).await.is_ok() {
                hits += 1;
            } else {
                proxy.heal();
            }
            let now = direct.read(&key).await.unwrap().unwrap();
            match written {
                Ok(written) => assert_eq!((&now.payload, &now.version), (&value, &written)),
                Err(err) if err.is_indeterminate() => {}
                Err(err) => assert_ne!(now.payload, value, "{err}"),
            }
            version = handler.read(&key).await.unwrap().unwrap().version;
        }
    }
    assert!(hits * 2 > rounds, "{hits} of {rounds} were cut");
}

/// After each the driver takes half a second to look at the server again.
fn cuts() -> Vec<Fault> {
    let points = (0..40).step_by(4).chain((40..400).step_by(40));
    let cut = points.map(Fault::CutAfter);
    cut.chain((0..16).step_by(4).map(Fault::ResetAfter))
        .chain([Fault::Garbage(vec![0xff; 64])])
        .collect()
}

/// Replies that come late, slowly or never end in the deadline, and the
/// connection they should have come on answers nobody else.
#[tokio::test]
async fn a_line_that_is_slow_or_dead_is_left_in_time() {
    let mongo = Mongo::mongodb().start().await.unwrap();
    let proxy = Proxy::start(mongo.address()).await.unwrap();
    let handler = default(&proxy.url(&mongo.url())).await;
    let (key, _) = create(&handler).await;
    let slow = Fault::Slow(1, Duration::from_secs(1));
    for fault in [Fault::Stall, Fault::Swallow, slow, Fault::Delay(Duration::from_secs(60))] {
        proxy.set(Direction::Reply, fault.clone());
        let begin = Instant::now();
        outage(handler.read(&key).await, begin);
        proxy.heal();
        proxy.cut();
        for _ in 0..3 {
            let (other, _) = loop {
                let other = fresh_key();
                if let Ok(version) = handler.write(&other, tag(&other), &creating()).await {
                    break (other, version);
                }
            };
            let found = handler.read(&other).await.unwrap().unwrap();
            assert_eq!(found.payload, tag(&other), "{fault:?}");
        }
    }
}

/// More tasks than connections wait for their turn, and all get it.
#[tokio::test]
async fn two_thousand_tasks_share_eight_connections() {
    let config = patient(&with_option(&Shared::MongoDb.url(), "maxPoolSize=8"));
    let handler = open(config.with_timeout(Duration::from_secs(110))).await;
    let tasks = (0..2000).map(|_| async {
        let (key, version) = create(&handler).await;
        assert_eq!(handler.read(&key).await.unwrap().unwrap().payload, tag(&key));
        handler.write(&key, tag(&key), &at(version)).await.unwrap();
    });
    join_all(tasks).await;
}

/// With one connection, calls wait for it no longer than their deadline.
#[tokio::test]
async fn waiting_for_a_connection_ends_in_time() {
    let mongo = Mongo::mongodb().start().await.unwrap();
    let proxy = Proxy::start(mongo.address()).await.unwrap();
    let url = with_option(&proxy.url(&mongo.url()), "maxPoolSize=1");
    let handler = default(&url).await;
    let (key, _) = create(&handler).await;
    proxy.set(Direction::Reply, Fault::Stall);
    let begin = Instant::now();
    for result in join_all((0..50).map(|_| handler.read(&key))).await {
        outage(result, begin);
    }
    proxy.heal();
    while handler.read(&key).await.is_err() {}
}

#[tokio::test]
async fn a_closed_handler_says_so_and_leaves_the_applications_client_open() {
    let handler = shared(Shared::MongoDb).await;
    let (key, _) = create(&handler).await;
    handler.close().await.unwrap();
    let begin = Instant::now();
    let err = handler.read(&key).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Unavailable);
    assert!(err.to_string().contains("closed") && begin.elapsed() < LATE, "{err}");

    let config = patient(&Shared::MongoDb.url());
    let client = mongodb::Client::with_uri_str(config.uri.as_ref().unwrap()).await.unwrap();
    let database = client.database(config.database.as_deref().unwrap());
    let err = MongoHandler::from_database(&database, config).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig, "the URI would have no effect: {err}");
    let handler = MongoHandler::from_database(&database, MongoConfig::default()).unwrap();
    handler.open().await.unwrap();
    create(&handler).await;
    handler.close().await.unwrap();
    assert_eq!(database.list_collection_names().await.unwrap().len(), 2);
}

pub(crate) fn with_option(url: &str, option: &str) -> String {
    let url = if url.matches('/').count() < 3 { format!("{url}/tests") } else { url.to_owned() };
    format!("{url}{}{option}", if url.contains('?') { '&' } else { '?' })
}
