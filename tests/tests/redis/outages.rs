//! Servers that are killed, stopped, out of reach, and crowded.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use session_core::{ErrorKind, SessionHandler, SessionManager};
use session_redis::{RedisConfig, RedisHandler};
use session_tests::proxy::Proxy;
use session_tests::servers::Redis;
use tokio::sync::Barrier;

use crate::support::*;

/// Each operation in its turn is the first after a restart, on a connection that
/// was idle meanwhile: none is lost, none is open.
#[tokio::test]
async fn after_a_restart_the_first_call_goes_through() {
    for builder in [Redis::redis(), Redis::valkey()] {
        let redis = builder.durable().start().await.unwrap();
        let handler = handler(&redis.url());
        let key = create(&handler, "0").await;
        for round in 0..6 {
            let version = handler.read(&key).await.unwrap().unwrap().version;
            redis.process().kill();
            redis.restart().await.unwrap();
            let begin = Instant::now();
            match round {
                0 => assert_eq!(payload(&handler, &key).await.as_deref(), Some("0")),
                1 => drop(write(&handler, &key, "1", &replacing()).await.unwrap()),
                2 => drop(write(&handler, &key, "2", &at(&version)).await.unwrap()),
                3 => assert_ne!(create(&handler, "3").await, key),
                4 => assert!(handler.touch(&key, 2 * LONG).await.unwrap()),
                _ => assert!(handler.destroy(&key, Some(&version)).await.unwrap()),
            }
            assert!(begin.elapsed() < Duration::from_secs(2) + SLACK, "round {round}");
        }
    }
}

/// The same over connections that an application's own client makes.
#[tokio::test]
async fn after_a_restart_the_first_call_through_an_own_client_goes_through() {
    for builder in [Redis::redis(), Redis::valkey()] {
        let redis = builder.durable().start().await.unwrap();
        let client = redis::Client::open(redis.url()).unwrap();
        let config = RedisConfig::default().with_timeout(PATIENCE);
        let handler = RedisHandler::from_client(client, config).unwrap();
        let key = create(&handler, "0").await;
        for round in 0..3 {
            let version = handler.read(&key).await.unwrap().unwrap().version;
            redis.process().kill();
            redis.restart().await.unwrap();
            match round {
                0 => drop(write(&handler, &key, "1", &replacing()).await.unwrap()),
                1 => drop(handler.locker().unwrap().try_lock(&key, LONG).await.unwrap().unwrap()),
                _ => assert!(handler.destroy(&key, Some(&version)).await.unwrap()),
            }
        }
    }
}

/// The server is killed and started again while sessions are counted up. What was
/// acknowledged is there, what was refused is not, and what is open is either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_under_load_loses_nothing_that_was_acknowledged() {
    let redis = Redis::redis().durable().start().await.unwrap();
    let handler = handler(&redis.url());
    let over = Arc::new(AtomicBool::new(false));
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (handler, over) = (handler.clone(), Arc::clone(&over));
            tokio::spawn(async move {
                let key = create(&handler, "0").await;
                let (mut acknowledged, mut open, mut failed) = (0_u64, 0, 0_u64);
                while !over.load(Ordering::Relaxed) {
                    let Ok(stored) = handler.read(&key).await else {
                        failed += 1;
                        continue;
                    };
                    let stored = stored.expect("an acknowledged session is gone");
                    let count: u64 = std::str::from_utf8(&stored.payload).unwrap().parse().unwrap();
                    assert!(count >= acknowledged, "an acknowledged write is gone");
                    assert!(count <= acknowledged + open, "a refused write happened");
                    (acknowledged, open) = (count, 0);
                    let next = (count + 1).to_string();
                    match write(&handler, &key, &next, &at(&stored.version)).await {
                        Ok(_) => acknowledged += 1,
                        Err(err) => {
                            let kinds = [ErrorKind::Unavailable, ErrorKind::Timeout];
                            assert!(kinds.contains(&err.kind()), "{err}");
                            open += u64::from(err.is_indeterminate());
                            failed += 1;
                        }
                    }
                }
                (acknowledged, failed)
            })
        })
        .collect();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        redis.process().kill();
        redis.restart().await.unwrap();
        let begin = Instant::now();
        create(&handler, "back").await;
        assert!(begin.elapsed() < Duration::from_secs(2) + SLACK, "{:?}", begin.elapsed());
    }
    over.store(true, Ordering::Relaxed);
    for task in tasks {
        let (acknowledged, _) = task.await.unwrap();
        assert!(acknowledged > 0, "a session was never written");
    }
}

/// A server that takes connections and answers nothing is answered for within
/// the deadline, by default two seconds, and is served again at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_server_is_answered_for_within_the_deadline() {
    for fresh in [false, true] {
        let redis = Redis::valkey().start().await.unwrap();
        let url = redis.url();
        let mut handler = handler(&url);
        let key = create(&handler, "session").await;
        if fresh {
            handler = crate::support::handler(&url);
        }
        redis.process().stop();
        let begin = Instant::now();
        let (read, written, touched, destroyed) = tokio::join!(
            handler.read(&key),
            async { write(&handler, &key, "late", &replacing()).await },
            handler.touch(&key, LONG),
            handler.destroy(&key, None),
        );
        let took = begin.elapsed();
        assert!(took < Duration::from_secs(2) + SLACK, "{took:?}");
        assert!(took >= Duration::from_secs(2), "{took:?}: the deadline is not the reason");
        let errors = [read.map(drop), written.map(drop), touched.map(drop), destroyed.map(drop)];
        for (number, result) in errors.into_iter().enumerate() {
            let err = result.unwrap_err();
            assert_eq!(err.kind(), ErrorKind::Timeout, "{err}");
            // The kernel takes connections and commands for it; they may be executed.
            assert_eq!(err.is_indeterminate(), number > 0, "{err}");
        }
        redis.process().resume();
        create(&handler, "again").await;
    }
}

#[tokio::test]
async fn a_server_out_of_reach_is_an_outage_until_it_is_back() {
    let redis = Redis::redis().start().await.unwrap();
    let proxy = Proxy::start(redis.address()).await.unwrap();
    let config = RedisConfig::new(proxy.url(&redis.url()));
    let handler = RedisHandler::new(config.with_timeout(Duration::from_secs(1))).unwrap();
    let key = create(&handler, "session").await;
    proxy.refuse().await;
    proxy.cut();
    let err = handler.read(&key).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Unavailable, "{err}");
    for _ in 0..3 {
        let err = not_done(write(&handler, &key, "late", &replacing()).await);
        assert_eq!(err.kind(), ErrorKind::Unavailable, "{err}");
    }
    proxy.accept().await.unwrap();
    assert_eq!(payload(&handler, &key).await.as_deref(), Some("session"));
}

/// The server comes back while a call waits for it: the call goes through.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_waits_for_a_server_that_comes_back_in_time() {
    let redis = Redis::redis().start().await.unwrap();
    let proxy = Proxy::start(redis.address()).await.unwrap();
    let config = RedisConfig::new(proxy.url(&redis.url()));
    let handler = RedisHandler::new(config.with_timeout(Duration::from_secs(20))).unwrap();
    let key = create(&handler, "session").await;
    proxy.refuse().await;
    proxy.cut();
    let waiting = tokio::spawn({
        let handler = handler.clone();
        async move { handler.touch(&key, 2 * LONG).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!waiting.is_finished(), "nobody was there to answer");
    proxy.accept().await.unwrap();
    assert!(waiting.await.unwrap().unwrap());
}

/// Two thousand callers at once share one connection: all are served, none is
/// forgotten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_is_served_over_one_connection() {
    const CROWD: usize = 2000;
    let redis = Redis::valkey().start().await.unwrap();
    let proxy = Proxy::start(redis.address()).await.unwrap();
    let config = RedisConfig::new(proxy.url(&redis.url()));
    let handler = RedisHandler::new(config.with_timeout(Duration::from_secs(60))).unwrap();
    let together = Arc::new(Barrier::new(CROWD));
    let tasks: Vec<_> = (0..CROWD)
        .map(|number| {
            let (handler, together) = (handler.clone(), Arc::clone(&together));
            tokio::spawn(async move {
                let (key, mine) = (fresh_key(), number.to_string());
                together.wait().await;
                write(&handler, &key, &mine, &creating()).await.unwrap();
                for _ in 0..3 {
                    let stored = handler.read(&key).await.unwrap().unwrap();
                    assert_eq!(stored.payload, mine);
                    write(&handler, &key, &mine, &at(&stored.version)).await.unwrap();
                }
                assert!(handler.destroy(&key, None).await.unwrap());
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(proxy.accepted(), 1);
    assert_eq!(redis.query::<u64>(&["DBSIZE"]).await.unwrap(), 0);
}

/// Two handlers stand for two processes: they share nothing but the server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_parallel_increments_are_a_hundred() {
    for builder in [Redis::redis(), Redis::valkey()] {
        let redis = builder.start().await.unwrap();
        let managers = [0, 1].map(|_| Arc::new(SessionManager::new(handler(&redis.url()))));
        let session = managers[0].create();
        session.set("n", 0).unwrap();
        session.save().await.unwrap();
        let session_core::CookieAction::Set { id, .. } = session.cookie() else { panic!() };
        let together = Arc::new(Barrier::new(100));
        let tasks: Vec<_> = (0..100)
            .map(|number| {
                let manager = Arc::clone(&managers[number % 2]);
                let (id, together) = (id.clone(), Arc::clone(&together));
                tokio::spawn(async move {
                    let session = manager.load(&id).await.unwrap();
                    together.wait().await;
                    session.increment("n", 1).unwrap();
                    session.save().await.unwrap();
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let session = managers[0].load(&id).await.unwrap();
        assert_eq!(session.get::<i64>("n").unwrap(), Some(100));
    }
}

/// How many logouts race with saves; a long run asks for more.
fn races() -> usize {
    std::env::var("SESSION_TEST_RACES").map_or(500, |count| count.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_racing_save_undoes_a_logout() {
    for builder in [Redis::redis(), Redis::valkey()] {
        let redis = builder.start().await.unwrap();
        let (one, two) = (handler(&redis.url()), handler(&redis.url()));
        for race in 0..races() {
            let key = create(&one, "in").await;
            let version = two.read(&key).await.unwrap().unwrap().version;
            let options = if race % 2 == 0 { at(&version) } else { replacing() };
            let (saved, destroyed, touched) = tokio::join!(
                write(&two, &key, "late", &options),
                one.destroy(&key, None),
                two.touch(&key, 2 * LONG),
            );
            assert!(destroyed.unwrap());
            touched.unwrap();
            if let Err(err) = saved {
                assert_eq!(err.kind(), ErrorKind::Gone, "{err}");
            }
            assert_eq!(payload(&two, &key).await, None, "race {race}");
        }
        assert_eq!(redis.query::<u64>(&["DBSIZE"]).await.unwrap(), 0);
    }
}
