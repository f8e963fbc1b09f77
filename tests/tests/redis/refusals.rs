//! What servers refuse, and why.

use std::time::{Duration, Instant};

use session_core::{ErrorKind, SessionHandler};
use session_tests::servers::Redis;

use crate::support::*;

#[tokio::test]
async fn a_full_server_takes_nothing_more_and_destroys_all_the_same() {
    for builder in [Redis::redis(), Redis::valkey()] {
        let limits = builder.config("maxmemory 4mb").config("maxmemory-policy noeviction");
        let redis = limits.start().await.unwrap();
        let handler = handler(&redis.url());
        let big = "x".repeat(50_000);
        let (mut keys, err) = (
            Vec::new(),
            loop {
                let key = fresh_key();
                match write(&handler, &key, &big, &creating()).await {
                    Ok(_) => {}
                    Err(err) => break err,
                }
            },
        );
        assert_eq!(err.kind(), ErrorKind::StorageFull, "{err}");
        assert!(!err.is_indeterminate());
        keys.extend(listed(&handler).await.into_iter().map(|item| item.key));
        assert!(keys.len() > 5, "the server was full from the start");

        let key = keys.pop().unwrap();
        let version = handler.read(&key).await.unwrap().unwrap().version;
        for options in [replacing(), at(&version)] {
            let err = not_done(write(&handler, &key, &big, &options).await);
            assert_eq!(err.kind(), ErrorKind::StorageFull, "{err}");
        }
        assert_eq!(payload(&handler, &key).await.as_deref(), Some(&*big));
        assert!(handler.destroy(&key, Some(&version)).await.unwrap());
        for key in keys {
            assert!(handler.destroy(&key, None).await.unwrap());
        }
        create(&handler, &big).await;
    }
}

#[tokio::test]
async fn a_policy_that_evicts_sessions_is_a_warning_and_evicted_ones_are_absent() {
    let redis = Redis::redis().config("maxmemory 4mb").start().await.unwrap();
    let handler = handler(&redis.url());
    assert_eq!(handler.warnings().await.unwrap(), [""; 0]);
    for policy in ["volatile-lru", "allkeys-random"] {
        let _: () = redis.query(&["CONFIG", "SET", "maxmemory-policy", policy]).await.unwrap();
        let warnings = handler.warnings().await.unwrap();
        assert!(matches!(&warnings[..], [warning] if warning.contains(policy)), "{warnings:?}");
    }
    let mut keys = Vec::new();
    while redis.info("evicted_keys").await.unwrap() == "0" {
        for _ in 0..10 {
            keys.push(create(&handler, &"x".repeat(50_000)).await);
        }
    }
    let mut gone = Vec::new();
    for key in &keys {
        if handler.read(key).await.unwrap().is_none() {
            gone.push(key);
        }
    }
    assert!(!gone.is_empty() && gone.len() < keys.len());
    let err = not_done(write(&handler, gone[0], "late", &replacing()).await);
    assert_eq!(err.kind(), ErrorKind::Gone);
    assert!(!handler.touch(gone[0], LONG).await.unwrap());
}

/// A server that cannot save refuses writes and destructions, and goes on serving
/// reads: a logout that cannot be carried out must be heard of.
#[tokio::test]
async fn a_server_that_cannot_save_refuses_destructions_loudly() {
    let redis = Redis::redis().config("save 3600 100000").start().await.unwrap();
    let handler = handler(&redis.url());
    let key = create(&handler, "session").await;
    std::fs::create_dir_all(redis.directory().join("dump.rdb/in-the-way")).unwrap();
    let _: redis::Value = redis.query(&["BGSAVE"]).await.unwrap();
    while redis.info("rdb_last_bgsave_status").await.unwrap() != "err" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let version = handler.read(&key).await.unwrap().unwrap().version;
    for err in [
        not_done(write(&handler, &fresh_key(), "new", &creating()).await),
        not_done(write(&handler, &key, "changed", &at(&version)).await),
        not_done(handler.touch(&key, 2 * LONG).await.map(drop)),
        not_done(handler.destroy(&key, None).await.map(drop)),
    ] {
        assert_eq!(err.kind(), ErrorKind::Unavailable, "{err}");
        assert!(err.to_string().contains("cannot save"), "{err}");
    }
    assert_eq!(payload(&handler, &key).await.as_deref(), Some("session"));
}

#[tokio::test]
async fn a_primary_without_its_replicas_refuses_writes() {
    let redis = Redis::redis()
        .config("min-replicas-to-write 1")
        .config("min-replicas-max-lag 1")
        .start()
        .await
        .unwrap();
    let handler = handler(&redis.url());
    for err in [
        not_done(write(&handler, &fresh_key(), "new", &creating()).await.map(drop)),
        not_done(write(&handler, &fresh_key(), "new", &replacing()).await.map(drop)),
    ] {
        // An absent session is not written, whoever may write.
        assert!(matches!(err.kind(), ErrorKind::Unavailable | ErrorKind::Gone), "{err}");
    }
    let err = not_done(write(&handler, &fresh_key(), "new", &creating()).await);
    assert!(err.to_string().contains("too few replicas"), "{err}");
}

/// Somebody's endless script keeps the server busy: calls wait for its end, and
/// give up in time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_server_is_waited_for_within_the_deadline() {
    let redis = Redis::redis().config("lua-time-limit 50").start().await.unwrap();
    let handler = handler(&redis.url());
    let key = create(&handler, "session").await;
    let mut connection = redis.connection().await.unwrap();
    let endless = tokio::spawn(async move {
        let mut script = redis::cmd("EVAL");
        script.arg("while true do end").arg(0);
        drop(script.exec_async(&mut connection).await);
    });
    let begin = Instant::now();
    let err = loop {
        match handler.read(&key).await {
            Ok(_) => assert!(begin.elapsed() < SLACK, "the script never started"),
            Err(err) => break err,
        }
    };
    assert!(begin.elapsed() < 2 * SLACK, "{:?}", begin.elapsed());
    assert!(matches!(err.kind(), ErrorKind::Unavailable | ErrorKind::Timeout), "{err}");

    let waiting = tokio::spawn({
        let handler = handler.clone();
        async move { write(&handler, &key, "changed", &replacing()).await }
    });
    let _: () = redis.query(&["SCRIPT", "KILL"]).await.unwrap();
    endless.await.unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(payload(&handler, &key).await.as_deref(), Some("changed"));
}
