//! What is stored, under which names, and for how long.

use std::sync::Arc;
use std::time::{Duration, Instant};

use session_core::{ErrorKind, ManualClock, SessionHandler, WriteMode, WriteOptions};
use session_redis::{RedisConfig, RedisHandler};
use session_tests::servers::{Redis, Shared};

use crate::support::*;

/// The limit is looked at before anything is sent: there is nobody to send it to.
#[tokio::test]
async fn a_payload_over_the_limit_is_refused_before_it_is_sent() {
    let config = RedisConfig::new("redis://127.0.0.1:1").with_max_record_bytes(10);
    let handler = RedisHandler::new(config).unwrap();
    for options in [creating(), replacing()] {
        let err = not_done(write(&handler, &fresh_key(), "eleven byte", &options).await);
        assert_eq!(err.kind(), ErrorKind::TooLarge);
    }
}

#[tokio::test]
async fn payloads_of_every_size_up_to_the_limit_come_back() {
    const LIMIT: usize = 300_000;
    for server in [Shared::Redis, Shared::Valkey] {
        let config = RedisConfig::new(server.url()).with_prefix(prefix());
        let handler = RedisHandler::new(config.with_max_record_bytes(LIMIT)).unwrap();
        let mut sizes = vec![0, 1, 2, 43, 44, 45, 16_384, LIMIT - 1, LIMIT];
        sizes.extend((0..50).map(|_| fastrand::usize(0..LIMIT)));
        let key = create(&handler, "").await;
        for size in sizes {
            let payload: Vec<u8> = (0..size).map(|_| fastrand::u8(..)).collect();
            let version = handler.read(&key).await.unwrap().unwrap().version;
            handler.write(&key, payload.clone().into(), &at(&version)).await.unwrap();
            assert!(handler.read(&key).await.unwrap().unwrap().payload == payload, "{size}");
        }
        let err = not_done(write(&handler, &key, &"x".repeat(LIMIT + 1), &replacing()).await);
        assert_eq!(err.kind(), ErrorKind::TooLarge);
    }
}

/// Sessions, pointers, locks and owners: all of them end by themselves.
#[tokio::test]
async fn no_key_is_without_an_end() {
    for builder in [Redis::redis(), Redis::valkey()] {
        let redis = builder.start().await.unwrap();
        let handler = handler(&redis.url());
        handler.open().await.unwrap();
        let owner = session_core::Owner::new("ann").unwrap();
        let key = fresh_key();
        let bound = creating().with_owner(owner.clone());
        write(&handler, &key, "bound", &bound).await.unwrap();
        let read = handler.read(&key).await.unwrap().unwrap().version;
        write(&handler, &key, "changed", &at(&read).with_owner(owner)).await.unwrap();
        handler.touch(&key, 3 * LONG).await.unwrap();
        write(&handler, &fresh_key(), "pointer", &creating().as_pointer()).await.unwrap();
        let locker = handler.locker().unwrap();
        let token = locker.try_lock(&key, LONG).await.unwrap().unwrap();
        locker.renew(&key, token, LONG).await.unwrap();
        locker.unlock(&key, token).await.unwrap();

        let names: Vec<String> = redis.query(&["KEYS", "*"]).await.unwrap();
        assert_eq!(names.len(), 4, "{names:?}");
        for name in names {
            let left: i64 = redis.query(&["PTTL", &name]).await.unwrap();
            assert!(left > 0, "{name} has no end");
        }
    }
}

#[tokio::test]
async fn what_is_of_another_type_is_neither_absent_nor_overwritten() {
    for builder in [Redis::redis(), Redis::valkey()] {
        let redis = builder.start().await.unwrap();
        let handler = handler(&redis.url());
        let key = create(&handler, "session").await;
        let version = handler.read(&key).await.unwrap().unwrap().version;
        let name = name(&key);
        for plant in [&["RPUSH", &name, "a", "b"][..], &["SET", &name, "somebody else's"]] {
            let _: redis::Value = redis.query(&["DEL", &name]).await.unwrap();
            let _: redis::Value = redis.query(plant).await.unwrap();
            let before: Vec<u8> = redis.query(&["DUMP", &name]).await.unwrap();

            assert_eq!(handler.read(&key).await.unwrap_err().kind(), ErrorKind::Corrupt);
            let kind = |result| not_done(result).kind();
            let write = async |options| write(&handler, &key, "late", &options).await;
            assert_eq!(kind(write(creating()).await), ErrorKind::AlreadyExists);
            assert_eq!(kind(write(replacing()).await), ErrorKind::Corrupt);
            assert_eq!(kind(write(at(&version)).await), ErrorKind::Corrupt);
            let touched = handler.touch(&key, LONG).await;
            assert_eq!(not_done(touched).kind(), ErrorKind::Corrupt);
            let destroyed = handler.destroy(&key, Some(&version)).await;
            assert_eq!(not_done(destroyed).kind(), ErrorKind::Corrupt);
            assert!(listed(&handler).await.is_empty());

            assert_eq!(redis.query::<Vec<u8>>(&["DUMP", &name]).await.unwrap(), before);
        }
    }
}

/// A prefix is literal, and part of another one all the same keeps apart.
#[tokio::test]
async fn prefixes_keep_sessions_apart() {
    let redis = Redis::redis().start().await.unwrap();
    let prefixes = ["a", "a:", "a*", "*", "?", "[a]", "\\", "a:b:", "{a}:", "session:owner:"];
    let handlers = prefixes.map(|prefix| {
        let config = RedisConfig::new(redis.url()).with_prefix(prefix);
        (prefix, RedisHandler::new(config).unwrap())
    });
    let key = fresh_key();
    for (prefix, handler) in &handlers {
        write(handler, &key, prefix, &creating()).await.unwrap();
    }
    let _: () = redis.query(&["SET", &key.to_string(), "the application's"]).await.unwrap();
    for (prefix, handler) in &handlers {
        assert_eq!(payload(handler, &key).await.as_deref(), Some(*prefix));
        assert_eq!(listed(handler).await.len(), 1, "{prefix}");
        assert_eq!(handler.lister().unwrap().count().await.unwrap(), 1, "{prefix}");
    }
    for (_, handler) in &handlers {
        assert!(handler.destroy(&key, None).await.unwrap());
        assert!(!handler.destroy(&key, None).await.unwrap());
    }
    assert_eq!(redis.query::<u64>(&["DBSIZE"]).await.unwrap(), 1);
}

#[tokio::test]
async fn after_all_was_flushed_every_session_is_gone() {
    let redis = Redis::valkey().start().await.unwrap();
    let handler = handler(&redis.url());
    let key = create(&handler, "session").await;
    let version = handler.read(&key).await.unwrap().unwrap().version;
    let _: () = redis.query(&["FLUSHALL"]).await.unwrap();
    assert_eq!(payload(&handler, &key).await, None);
    assert!(!handler.touch(&key, LONG).await.unwrap());
    for options in [replacing(), at(&version)] {
        let err = not_done(write(&handler, &key, "late", &options).await);
        assert_eq!(err.kind(), ErrorKind::Gone);
    }
    assert_eq!(redis.query::<u64>(&["DBSIZE"]).await.unwrap(), 0);
}

/// A copy of everything that the server keeps does not hold an id, nor an owner's name.
#[tokio::test]
async fn the_servers_files_hold_no_id() {
    let redis = Redis::redis().start().await.unwrap();
    let manager = session_core::SessionManager::new(handler(&redis.url()));
    let session = manager.create();
    session.set("cart", 7).unwrap();
    session.save().await.unwrap();
    let session_core::CookieAction::Set { id, .. } = session.cookie() else {
        panic!("a new session sends a cookie")
    };
    let _: () = redis.query(&["SAVE"]).await.unwrap();
    let dump = std::fs::read(redis.directory().join("dump.rdb")).unwrap();
    let holds = |text: &str| dump.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(holds("session:"), "the dump is not that of this server");
    assert!(!holds(id.expose()));
}

/// The clocks of two programs and of the server differ by a day: lifetimes are
/// what they should be, and deadlines stay where they are.
#[tokio::test]
async fn clocks_that_differ_move_no_deadline() {
    for server in [Shared::Redis, Shared::Valkey] {
        let config = RedisConfig::new(server.url()).with_prefix(prefix());
        let slow = RedisHandler::new(config).unwrap();
        let clock = ManualClock::new();
        clock.advance(Duration::from_secs(24 * 3600));
        let fast = slow.clone().with_clock(Arc::new(clock));
        for (writer, toucher) in [(&slow, &fast), (&fast, &slow), (&fast, &fast)] {
            let key = fresh_key();
            let bounded = creating().with_absolute(2 * LONG);
            write(writer, &key, "session", &bounded).await.unwrap();
            assert_eq!(listed(toucher).await.len(), 1);
            for _ in 0..3 {
                assert!(toucher.touch(&key, 5 * LONG).await.unwrap());
            }
            let remaining = toucher.read(&key).await.unwrap().unwrap().remaining.unwrap();
            let (least, most) = (2 * LONG - Duration::from_secs(60), 2 * LONG);
            assert!(remaining > least && remaining <= most, "{remaining:?}");
            assert!(writer.destroy(&key, None).await.unwrap());

            let brief = WriteOptions::new(WriteMode::Create, Duration::from_millis(50));
            write(writer, &key, "brief", &brief).await.unwrap();
            assert!(toucher.read(&key).await.unwrap().is_none_or(|found| found.payload == "brief"));
            while toucher.read(&key).await.unwrap().is_some() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            assert!(!toucher.touch(&key, LONG).await.unwrap());
        }
    }
}

/// The caller's time comes with a touch and is older than the one of the write
/// that overtook it.
#[tokio::test]
async fn a_touch_that_was_long_on_its_way_moves_no_deadline_back() {
    for server in [Shared::Redis, Shared::Valkey] {
        let config = RedisConfig::new(server.url()).with_prefix(prefix());
        let (before, after) = (ManualClock::new(), ManualClock::new());
        after.advance(Duration::from_millis(900));
        let late = RedisHandler::new(config).unwrap().with_clock(Arc::new(before));
        let handler = late.clone().with_clock(Arc::new(after));
        let begin = Instant::now();
        let key = create(&handler, "session").await;
        for idle in [Duration::from_secs(1), LONG] {
            assert!(late.touch(&key, idle).await.unwrap());
            let remaining = handler.read(&key).await.unwrap().unwrap().remaining.unwrap();
            // Deadlines are whole milliseconds; what moved back would be 900 short.
            let least = LONG - Duration::from_millis(450);
            assert!(remaining + begin.elapsed() >= least, "{remaining:?}");
        }
    }
}
