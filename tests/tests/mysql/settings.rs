//! Servers that are set up in other ways than the defaults.

use std::time::Duration;

use session_core::{Bytes, ErrorKind, GcRequest, SessionHandler, WriteMode, WriteOptions};
use session_mysql::{MysqlConfig, MysqlHandler};
use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};

use crate::support::*;

on_both! {
    a_server_that_is_not_strict_cuts_nothing_off
    payloads_are_bytes_whatever_the_character_set
    the_time_zone_makes_no_difference
    a_lifetime_goes_beyond_2038
    a_payload_above_the_packet_size_is_refused_before_it_is_sent
    a_server_that_is_read_only_says_so_and_is_asked_again_on_a_new_connection
    a_server_that_prepares_no_more_statements_is_sent_text
    a_pool_without_autocommit_is_refused
    a_touch_that_changes_nothing_still_finds_the_session
    a_numeric_looking_key_matches_nothing_else
}

async fn a_server_that_is_not_strict_cuts_nothing_off(kind: Kind) {
    let server = kind.own().option("--sql-mode=").start().await.expect("a server");
    let config = config_of(server.url()).with_max_record_bytes(70_000);
    let mut past = connection(url(&config)).await;
    let handler = open(config.clone()).await;
    let key = fresh_key();
    let large = Bytes::from(vec![7; 70_000]);
    handler.write(&key, large.clone(), &creating()).await.expect("create");
    assert!(handler.read(&key).await.expect("read").expect("a session").payload == large);
    // Somebody makes the column smaller while we run: an error, not half a session.
    handler.destroy(&key, None).await.expect("destroy");
    run(&mut past, format!("ALTER TABLE {} MODIFY data BLOB NOT NULL", config.table)).await;
    let (err, _) = told(handler.write(&key, large, &creating()).await);
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    assert!(!err.is_indeterminate());
    assert!(handler.read(&key).await.expect("read").is_none());
}

async fn payloads_are_bytes_whatever_the_character_set(kind: Kind) {
    let server = kind
        .own()
        .option("--character-set-server=latin1")
        .option("--collation-server=latin1_swedish_ci")
        .start()
        .await
        .expect("a server");
    let handler = open(config_of(server.url())).await;
    let all: Vec<u8> = (0..=u8::MAX).chain("ä€😀\0'\"\\%_".bytes()).collect();
    let locker = handler.locker().expect("a locker");
    for length in [0, 1, all.len(), 5000, 100_000] {
        let payload: Bytes = all.iter().copied().cycle().take(length).collect::<Vec<_>>().into();
        let key = fresh_key();
        handler.write(&key, payload.clone(), &creating()).await.expect("create");
        assert!(handler.read(&key).await.expect("read").expect("a session").payload == payload);
        // Under a lock the statement is another one.
        let key = fresh_key();
        let token = locker.try_lock(&key, LONG).await.expect("lock").expect("a free lock");
        let fenced = creating().with_fence(token);
        handler.write(&key, payload.clone(), &fenced).await.expect("create");
        assert!(handler.read(&key).await.expect("read").expect("a session").payload == payload);
    }
}

/// Moments are numbers that the server makes in UTC: for our connections, and
/// for those of a pool that has a zone of its own.
async fn the_time_zone_makes_no_difference(kind: Kind) {
    let server = kind.own().option("--default-time-zone=+13:00").start().await.expect("a server");
    let config = config_of(server.url());
    let ours = open(config.clone()).await;
    let options: MySqlConnectOptions = server.url().parse().expect("a URL");
    let pool = MySqlPoolOptions::new().connect_lazy_with(options.timezone(Some("-11:30".into())));
    let theirs = MysqlHandler::from_pool(pool, on_a_pool(&config)).expect("a configuration");
    let (key, _) = created(&ours, "a").await;
    holds(&theirs, &key, "a").await;
    assert!(theirs.touch(&key, 2 * LONG).await.expect("touch"));
    let remaining = ours.read(&key).await.expect("read").expect("a session").remaining;
    let remaining = remaining.expect("a time");
    assert!(remaining <= 2 * LONG && remaining > LONG + LONG / 2, "{remaining:?}");
    let mut past = connection(&server.url()).await;
    let off =
        format!("SELECT CAST(touched DIV 1000 AS SIGNED) - UNIX_TIMESTAMP() FROM {}", config.table);
    assert!(number(&mut past, off).await.abs() < 600);
}

async fn a_lifetime_goes_beyond_2038(kind: Kind) {
    let handler = handler(kind.shared()).await;
    let years = 100 * 366 * 24 * LONG;
    let key = fresh_key();
    let options = WriteOptions::new(WriteMode::Create, years).with_absolute(2 * years);
    handler.write(&key, "a".into(), &options).await.expect("create");
    assert!(handler.touch(&key, 2 * years).await.expect("touch"));
    let remaining = handler.read(&key).await.expect("read").expect("a session").remaining;
    assert!(remaining.is_some_and(|remaining| remaining > years + LONG));
    handler.gc(&GcRequest::default()).await.expect("gc");
    holds(&handler, &key, "a").await;
}

async fn a_payload_above_the_packet_size_is_refused_before_it_is_sent(kind: Kind) {
    let server = kind.own().option("--max-allowed-packet=1M").start().await.expect("a server");
    let config = config_of(server.url()).with_max_connections(1);
    let handler = open(config.clone()).await;
    let pool =
        MySqlPoolOptions::new().max_connections(1).connect_lazy(&server.url()).expect("a pool");
    let of_pool = MysqlHandler::from_pool(pool, on_a_pool(&config)).expect("a configuration");
    let fits = Bytes::from(vec![1; (1 << 20) - 2000]);
    let over = Bytes::from(vec![1; 1 << 20]);
    for handler in [&handler, &of_pool] {
        let key = fresh_key();
        handler.write(&key, fits.clone(), &creating()).await.expect("create");
        let before = server.status("Connections").await.expect("status");
        let (err, text) = told(handler.write(&key, over.clone(), &replacing()).await);
        assert_eq!(err.kind(), ErrorKind::TooLarge);
        assert!(!err.is_indeterminate() && text.contains("max_allowed_packet"), "{text}");
        assert!(handler.read(&key).await.expect("read").expect("a session").payload == fits);
        // The connection that asks for the status, and no other.
        assert_eq!(server.status("Connections").await.expect("status"), before + 1);
    }
    let handler = open(config_of(server.url()).with_max_record_bytes(100)).await;
    let (err, text) = told(handler.write(&fresh_key(), vec![1; 101].into(), &creating()).await);
    assert_eq!(err.kind(), ErrorKind::TooLarge);
    assert!(text.contains("max_record_bytes"), "{text}");
}

/// As after a failover, when the old primary goes on as a replica.
async fn a_server_that_is_read_only_says_so_and_is_asked_again_on_a_new_connection(kind: Kind) {
    let server = kind.own().start().await.expect("a server");
    let config = config_of(server.url());
    let admin = open(config.clone()).await;
    server.user("app", "SELECT, INSERT, UPDATE, DELETE ON tests.*").await.expect("a user");
    let mut config = config;
    config.url = Some(server.url_of("app"));
    let handler = open(config).await;
    let (key, version) = created(&handler, "a").await;
    server.run("SET GLOBAL read_only = 1").await.expect("read only");
    let before = server.status("Connections").await.expect("status");
    for result in [
        handler.write(&key, "b".into(), &at(version)).await.map(drop),
        handler.write(&fresh_key(), "b".into(), &creating()).await.map(drop),
        handler.touch(&key, LONG).await.map(drop),
        handler.destroy(&key, None).await.map(drop),
    ] {
        let (err, text) = told(result);
        assert_eq!(err.kind(), ErrorKind::Unavailable, "{text}");
        assert!(!err.is_indeterminate() && text.contains("read only"), "{text}");
    }
    assert!(server.status("Connections").await.expect("status") > before + 4);
    holds(&handler, &key, "a").await;
    server.run("SET GLOBAL read_only = 0").await.expect("read and write");
    works(&handler).await;
    holds(&admin, &key, "a").await;
}

async fn a_server_that_prepares_no_more_statements_is_sent_text(kind: Kind) {
    let server = kind.own().start().await.expect("a server");
    let handler = open(config_of(server.url()).with_max_connections(1)).await;
    works(&handler).await;
    server.run("SET GLOBAL max_prepared_stmt_count = 0").await.expect("a setting");
    let fresh = open(config_of(server.url())).await;
    for handler in [&fresh, &handler] {
        works(handler).await;
        let (key, _) = created(handler, "quote ' and ? and \\").await;
        holds(handler, &key, "quote ' and ? and \\").await;
        let locker = handler.locker().expect("a locker");
        let token = locker.try_lock(&key, LONG).await.expect("lock").expect("a free lock");
        let fenced = replacing().with_fence(token);
        handler.write(&key, Bytes::from_static(&[0xff, 0, 0x27]), &fenced).await.expect("write");
        let stored = handler.read(&key).await.expect("read").expect("a session");
        assert_eq!(stored.payload[..], [0xff, 0, 0x27]);
        assert_eq!(handler.lister().expect("a lister").count().await.expect("count"), 1);
    }
}

async fn a_pool_without_autocommit_is_refused(kind: Kind) {
    let server = kind.own().option("--autocommit=0").start().await.expect("a server");
    let pool = MySqlPoolOptions::new().connect_lazy(&server.url()).expect("a pool");
    let handler = MysqlHandler::from_pool(pool, MysqlConfig::default()).expect("a configuration");
    let (err, text) = told(handler.open().await);
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    assert!(text.contains("autocommit"), "{text}");
    // Our own connections set it.
    let config = config_of(server.url());
    let handler = open(config.clone()).await;
    let (key, _) = created(&handler, "a").await;
    holds(&open(config).await, &key, "a").await;
}

/// Two touches in one millisecond, and touches that change no column.
async fn a_touch_that_changes_nothing_still_finds_the_session(kind: Kind) {
    let handler = handler(kind.shared()).await;
    let (key, _) = created(&handler, "a").await;
    for _ in 0..200 {
        assert!(handler.touch(&key, Duration::ZERO).await.expect("touch"));
    }
    for _ in 0..20 {
        handler.write(&key, "a".into(), &replacing()).await.expect("the same once more");
    }
}

/// `WHERE id = 0` finds every row whose id does not begin with a digit; bound
/// bytes do not.
async fn a_numeric_looking_key_matches_nothing_else(kind: Kind) {
    let handler = handler(kind.shared()).await;
    let texts = [&b"0"[..], b"0.0", b"'' OR 1=1 -- ", b"\0", b" ", b"%", b"_"];
    let keys = texts.map(|text| {
        let mut bytes = [0; 32];
        bytes[..text.len()].copy_from_slice(text);
        session_core::SessionKey::from_bytes(bytes)
    });
    for _ in 0..5 {
        created(&handler, "others").await;
    }
    for key in &keys {
        assert!(handler.read(key).await.expect("read").is_none());
        assert!(!handler.touch(key, LONG).await.expect("touch"));
        assert!(!handler.destroy(key, None).await.expect("destroy"));
    }
    assert_eq!(handler.lister().expect("a lister").count().await.expect("count"), 5);
}
