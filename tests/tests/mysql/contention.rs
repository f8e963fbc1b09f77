//! Others who hold the same rows, or the whole table.

use std::sync::Arc;
use std::time::{Duration, Instant};

use session_core::{ErrorKind, GcRequest, Owner, SessionHandler, WriteMode, WriteOptions};
use sqlx::{Connection, Row};
use tokio::sync::Barrier;

use crate::support::*;

on_both! {
    writers_collectors_and_revocations_never_deadlock
    a_deadlock_that_others_cause_is_tried_again
    a_row_that_others_hold_is_waited_for_and_then_given_up
    a_locked_table_is_given_up_within_the_deadline
    a_table_that_is_being_altered_is_given_up_within_the_deadline
    a_session_that_expires_while_a_write_waits_stays_expired
    a_killed_statement_says_what_is_true
    a_hundred_increments_from_two_pools_all_count
    no_racing_write_undoes_a_logout
}

/// Saves, touches, destroys, logins, revocations and two collectors on the same
/// rows: the server sees no deadlock at all.
async fn writers_collectors_and_revocations_never_deadlock(kind: Kind) {
    let server = kind.own().start().await.expect("a server");
    let handler = Arc::new(open(config_of(server.url()).with_max_connections(12)).await);
    let before = deadlocks(&server).await;
    let end = Instant::now() + Duration::from_secs(5);
    let mut tasks = Vec::new();
    for number in 0..8_u64 {
        let handler = Arc::clone(&handler);
        tasks.push(tokio::spawn(async move {
            let owner = Owner::new(format!("owner {}", number % 2)).expect("a name");
            let mut keys = vec![fresh_key(); 8];
            while Instant::now() < end {
                for key in &mut keys {
                    *key = fresh_key();
                    let brief = Duration::from_millis(fastrand::u64(1..40));
                    let options =
                        WriteOptions::new(WriteMode::Create, brief).with_owner(owner.clone());
                    handler.write(key, vec![1; 2000].into(), &options).await.expect("create");
                }
                for key in &keys {
                    handler.touch(key, Duration::from_millis(30)).await.expect("touch");
                    let result = handler.write(key, vec![2; 3000].into(), &replacing()).await;
                    // It may have expired, been revoked or been collected.
                    if let Err(err) = result {
                        assert_eq!(err.kind(), ErrorKind::Gone, "{err}");
                        assert!(handler.read(key).await.expect("read").is_none());
                    }
                    handler.destroy(key, None).await.expect("destroy");
                }
                if number < 2 {
                    let index = handler.index().expect("an index");
                    index.revoke(&owner, None).await.expect("revoke");
                    index.cap(&owner, 3, &keys[0]).await.expect("cap");
                }
            }
        }));
    }
    for _ in 0..2 {
        let handler = Arc::clone(&handler);
        tasks.push(tokio::spawn(async move {
            while Instant::now() < end {
                handler.gc(&GcRequest::default()).await.expect("gc");
            }
        }));
    }
    for task in tasks {
        task.await.expect("a task");
    }
    assert_eq!(deadlocks(&server).await, before);
}

/// Returns how many deadlocks the server has seen.
async fn deadlocks(server: &session_tests::servers::Sql) -> i64 {
    let mut past = server.connection().await.expect("a connection");
    number(
        &mut past,
        "SELECT CAST(`count` AS SIGNED) FROM information_schema.innodb_metrics \
         WHERE name = 'lock_deadlocks'",
    )
    .await
}

/// Two rows, locked in one order by a transaction of somebody else and in the
/// other by a collection of ours.
async fn a_deadlock_that_others_cause_is_tried_again(kind: Kind) {
    let server = kind.own().start().await.expect("a server");
    let config = config_of(server.url());
    let table = config.table.clone();
    let handler = Arc::new(open(config.clone()).await);
    let mut keys = [fresh_key(), fresh_key()];
    keys.sort_unstable();
    let brief = WriteOptions::new(WriteMode::Create, Duration::from_millis(1));
    for key in &keys {
        handler.write(key, "a".into(), &brief).await.expect("create");
    }
    for key in &keys {
        until(async || handler.read(key).await.expect("read").is_none()).await;
    }
    let [first, second] = keys.map(|key| format!("x'{key}'"));
    let mut past = connection(url(&config)).await;
    // Heavier than ours, so that the server gives ours up.
    run(&mut past, format!("CREATE TABLE {table}_big (n INT PRIMARY KEY)")).await;
    run(&mut past, "BEGIN").await;
    let rows = (0..200).map(|n| format!("({n})")).collect::<Vec<_>>().join(",");
    run(&mut past, format!("INSERT INTO {table}_big VALUES {rows}")).await;
    run(&mut past, format!("SELECT 1 FROM {table} WHERE id = {second} FOR UPDATE")).await;
    let collector = Arc::clone(&handler);
    let collection = tokio::spawn(async move { collector.gc(&GcRequest::default()).await });
    // Ours has the first row and waits for the second.
    until_waiting(&server, 1).await;
    run(&mut past, format!("SELECT 1 FROM {table} WHERE id = {first} FOR UPDATE")).await;
    run(&mut past, "ROLLBACK").await;
    let report = collection.await.expect("a task").expect("gc");
    assert_eq!(report.removed, 2);
}

async fn a_row_that_others_hold_is_waited_for_and_then_given_up(kind: Kind) {
    let config = config(kind.shared()).with_timeout(Duration::from_secs(3));
    let table = config.table.clone();
    let handler = open(config.clone()).await;
    let (held, version) = created(&handler, "a").await;
    let (free, _) = created(&handler, "a").await;
    let mut past = connection(url(&config)).await;
    run(&mut past, "BEGIN").await;
    run(&mut past, format!("SELECT 1 FROM {table} WHERE id = x'{held}' FOR UPDATE")).await;
    let begin = Instant::now();
    let (err, text) = told(handler.write(&held, "b".into(), &at(version.clone())).await);
    assert!(matches!(err.kind(), ErrorKind::Unavailable | ErrorKind::Timeout), "{text}");
    assert!(begin.elapsed() < PATIENT);
    // Reading does not wait, and neither do others.
    holds(&handler, &held, "a").await;
    handler.write(&free, "b".into(), &replacing()).await.expect("write");
    run(&mut past, "ROLLBACK").await;
    if err.is_indeterminate() {
        return;
    }
    handler.write(&held, "c".into(), &at(version)).await.expect("nothing happened before");
}

async fn a_locked_table_is_given_up_within_the_deadline(kind: Kind) {
    let server = kind.own().start().await.expect("a server");
    let config = config_of(server.url()).with_timeout(Duration::from_secs(2));
    let table = config.table.clone();
    let handler = open(config.clone()).await;
    let other = open(config_of(server.url())).await;
    let (key, _) = created(&handler, "a").await;
    let mut past = server.connection().await.expect("a connection");
    for (lock, unlock, others_go_on) in [
        ("FLUSH TABLES WITH READ LOCK".to_owned(), "UNLOCK TABLES", false),
        (format!("LOCK TABLES {table} WRITE"), "UNLOCK TABLES", true),
    ] {
        run(&mut past, lock).await;
        let begin = Instant::now();
        let (err, text) = told(handler.write(&key, "b".into(), &replacing()).await);
        assert!(err.kind().is_outage(), "{text}");
        assert!(begin.elapsed() < PATIENT, "{:?}", begin.elapsed());
        if others_go_on {
            works(&other).await;
        }
        run(&mut past, unlock).await;
        works(&handler).await;
    }
    past.close().await.expect("close");
}

/// The alteration waits for somebody's transaction, and everybody else for it.
async fn a_table_that_is_being_altered_is_given_up_within_the_deadline(kind: Kind) {
    let server = kind.own().start().await.expect("a server");
    let config = config_of(server.url()).with_timeout(Duration::from_secs(2));
    let table = config.table.clone();
    let handler = open(config).await;
    let other = open(config_of(server.url())).await;
    let (key, _) = created(&handler, "a").await;
    let mut reader = server.connection().await.expect("a connection");
    run(&mut reader, format!("START TRANSACTION; SELECT COUNT(*) FROM {table}")).await;
    let mut past = server.connection().await.expect("a connection");
    let altering = tokio::spawn(async move {
        run(&mut past, format!("ALTER TABLE {table} ADD COLUMN note INT NULL")).await;
    });
    until(async || {
        let rows = sqlx::raw_sql("SHOW PROCESSLIST").fetch_all(&mut reader).await.expect("a list");
        let mut states = rows.iter().map(|row| row.get_unchecked::<Option<&str>, _>("State"));
        states.any(|state| state.is_some_and(|state| state.contains("metadata lock")))
    })
    .await;
    let begin = Instant::now();
    let (err, text) = told(handler.write(&key, "b".into(), &replacing()).await);
    assert!(err.kind().is_outage(), "{text}");
    assert!(begin.elapsed() < PATIENT, "{:?}", begin.elapsed());
    works(&other).await;
    run(&mut reader, "COMMIT").await;
    altering.await.expect("an alteration");
    assert!(handler.read(&key).await.expect("read").is_some());
    works(&handler).await;
}

/// The write began in time, and had to wait until the session was over.
async fn a_session_that_expires_while_a_write_waits_stays_expired(kind: Kind) {
    let config = config(kind.shared());
    let table = config.table.clone();
    let handler = Arc::new(open(config.clone()).await);
    let mut past = connection(url(&config)).await;
    let key = fresh_key();
    let brief = WriteOptions::new(WriteMode::Create, Duration::from_millis(700));
    let version = handler.write(&key, "a".into(), &brief).await.expect("create");
    run(&mut past, "BEGIN").await;
    run(&mut past, format!("SELECT 1 FROM {table} WHERE id = x'{key}' FOR UPDATE")).await;
    let tasks = [0, 1, 2].map(|which| {
        let (handler, version) = (Arc::clone(&handler), version.clone());
        tokio::spawn(async move {
            match which {
                0 => handler.touch(&key, LONG).await.map(drop),
                1 => handler.write(&key, "b".into(), &replacing()).await.map(drop),
                _ => handler.write(&key, "c".into(), &at(version)).await.map(drop),
            }
        })
    });
    until(async || handler.read(&key).await.expect("read").is_none()).await;
    run(&mut past, "ROLLBACK").await;
    for task in tasks {
        // Refused, or found nothing.
        drop(task.await.expect("a task"));
    }
    assert!(handler.read(&key).await.expect("read").is_none(), "it came back to life");
}

/// Ended by an administrator while it waits for a row.
async fn a_killed_statement_says_what_is_true(kind: Kind) {
    let server = kind.own().start().await.expect("a server");
    let mut observer = server.connection().await.expect("a connection");
    for how in ["QUERY", "CONNECTION"] {
        let config = config_of(server.url()).with_timeout(Duration::from_secs(6));
        let table = config.table.clone();
        let handler = Arc::new(open(config.clone()).await);
        let (key, _) = created(&handler, "a").await;
        let ids = connected(&mut observer).await;
        assert_eq!(ids.len(), 1, "the handler keeps its connection");
        let mut past = connection(url(&config)).await;
        run(&mut past, "BEGIN").await;
        run(&mut past, format!("SELECT 1 FROM {table} WHERE id = x'{key}' FOR UPDATE")).await;
        let writer = Arc::clone(&handler);
        let writing =
            tokio::spawn(async move { writer.write(&key, "b".into(), &replacing()).await });
        until_waiting(&server, 1).await;
        run(&mut observer, format!("KILL {how} {}", ids[0])).await;
        run(&mut past, "ROLLBACK").await;
        match writing.await.expect("a task") {
            Ok(_) => holds(&handler, &key, "b").await,
            Err(err) => {
                assert_eq!(err.kind(), ErrorKind::Unavailable, "{how}: {err}");
                if !err.is_indeterminate() {
                    holds(&handler, &key, "a").await;
                }
            }
        }
        works(&handler).await;
        handler.close().await.expect("close");
        past.close().await.expect("close");
        until(async || connected(&mut observer).await.is_empty()).await;
    }
}

async fn a_hundred_increments_from_two_pools_all_count(kind: Kind) {
    let config = config(kind.shared());
    let handlers = [open(config.clone()).await, open(config).await].map(Arc::new);
    let (key, _) = created(&handlers[0], "0").await;
    let start = Arc::new(Barrier::new(100));
    let tasks = (0..100).map(|number| {
        let (handler, start) = (Arc::clone(&handlers[number % 2]), Arc::clone(&start));
        tokio::spawn(async move {
            start.wait().await;
            loop {
                let stored = handler.read(&key).await.expect("read").expect("a session");
                let text = std::str::from_utf8(&stored.payload).expect("a number");
                let next = text.parse::<u32>().expect("a number") + 1;
                let options = at(stored.version);
                match handler.write(&key, next.to_string().into(), &options).await {
                    Ok(_) => return,
                    Err(err) => assert_eq!(err.kind(), ErrorKind::Conflict, "{err}"),
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("a task");
    }
    holds(&handlers[0], &key, "100").await;
}

/// A logout, and saves and touches of the same session from another pool, let
/// go at the same moment, thousands of times.
async fn no_racing_write_undoes_a_logout(kind: Kind) {
    const ROUNDS: usize = 10_000;
    const SIDE_BY_SIDE: usize = 4;
    let config = config(kind.shared()).with_max_connections(8);
    let handlers = [open(config.clone()).await, open(config).await].map(Arc::new);
    let lanes = (0..SIDE_BY_SIDE).map(|_| {
        let [one, other] = handlers.clone();
        tokio::spawn(async move {
            for _ in 0..ROUNDS / SIDE_BY_SIDE {
                let (key, version) = created(&one, "in").await;
                let (replacing, at) = (replacing(), at(version));
                let (out, _, _, _) = tokio::join!(
                    one.destroy(&key, None),
                    other.write(&key, "late".into(), &replacing),
                    one.write(&key, "later".into(), &at),
                    other.touch(&key, LONG),
                );
                assert!(out.expect("destroy"), "nobody else destroys this session");
                assert!(other.read(&key).await.expect("read").is_none(), "it came back");
            }
        })
    });
    for lane in lanes.collect::<Vec<_>>() {
        lane.await.expect("a lane");
    }
}
