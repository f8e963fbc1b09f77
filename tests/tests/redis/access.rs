//! Users, passwords and rights.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use redis::from_redis_value_ref;
use session_core::{ErrorKind, SessionHandler};
use session_redis::{RedisConfig, RedisHandler};
use session_tests::servers::{PASSWORD, Redis, RedisCluster, RedisSentinel};

use crate::support::*;

/// What the README says that a user needs.
const RIGHTS: &str = "~session:* -@all +get +set +getrange +setrange +del +pttl +pexpire +time \
     +zadd +zrem +zscore +zrange +zremrangebyscore +evalsha +eval +scan +wait";

#[test]
fn the_readme_lists_these_rights() {
    let readme = include_str!("../../../session-redis/README.md");
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words(readme).contains(&words(RIGHTS)));
}

/// What it says that a Cluster, the servers behind Sentinel and the Sentinels add.
const CLUSTER_RIGHTS: &str = "+asking +cluster|slots";
const SENTINEL_RIGHTS: &str = "+role";
const ASKING_RIGHTS: &str = "+sentinel|get-master-addr-by-name";

#[test]
fn the_readme_lists_what_cluster_and_sentinel_add() {
    let readme = include_str!("../../../session-redis/README.md");
    for rights in [CLUSTER_RIGHTS, SENTINEL_RIGHTS, ASKING_RIGHTS] {
        assert!(readme.contains(&format!("`{rights}`")), "{rights}");
    }
}

/// The whole contract, by a user who may do nothing else.
#[test]
fn the_least_rights_are_enough() {
    for builder in [Redis::redis(), Redis::valkey()] {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let redis = runtime.block_on(builder.user("app", RIGHTS).start()).unwrap();
        conforms(&RedisConfig::new(redis.url_of("app")));
        runtime.block_on(nothing_was_denied(&[redis]));
    }
}

/// The same in a Cluster of Valkey, where each write is confirmed.
#[test]
fn the_least_rights_are_enough_in_a_cluster() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let builder = RedisCluster::valkey().user("app", &format!("{RIGHTS} {CLUSTER_RIGHTS}"));
    let cluster = runtime.block_on(builder.start()).unwrap();
    conforms(&confirmed(RedisConfig::new(cluster.url_of("app"))));
    runtime.block_on(nothing_was_denied(cluster.nodes()));
}

/// The same behind Sentinels that have users of their own.
#[test]
fn the_least_rights_are_enough_behind_sentinel() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let builder = RedisSentinel::valkey().user("app", &format!("{RIGHTS} {SENTINEL_RIGHTS}"));
    let servers = runtime.block_on(builder.start()).unwrap();
    runtime.block_on(async {
        for sentinel in servers.sentinels() {
            let user = ["ACL", "SETUSER", "asking", "on", &format!(">{PASSWORD}"), "-@all"];
            let user = [&user[..], &[ASKING_RIGHTS]].concat();
            let _: () = sentinel.query(&user).await.unwrap();
        }
    });
    let mut config = confirmed(RedisConfig::new(servers.url_of("app")).with_master("mymaster"));
    config.sentinel_user = Some("asking".into());
    config.sentinel_auth = Some(PASSWORD.into());
    conforms(&config);
    runtime.block_on(nothing_was_denied(servers.nodes()));
    runtime.block_on(nothing_was_denied(servers.sentinels()));
}

async fn nothing_was_denied(servers: &[Redis]) {
    for server in servers {
        let denied: Vec<HashMap<String, redis::Value>> =
            server.query(&["ACL", "LOG"]).await.unwrap();
        // Who may not ask how the server evicts is not warned of it.
        let denied: Vec<String> =
            denied.iter().map(|entry| from_redis_value_ref(&entry["object"]).unwrap()).collect();
        assert!(denied.iter().all(|command| command == "info"), "{denied:?}");
    }
}

#[tokio::test]
async fn missing_rights_are_a_typed_error() {
    let builder = Redis::redis()
        .user("elsewhere", "~other:* +@all")
        .user("reader", "~session:* -@all +get +set")
        .user("nobody", "~session:* -@all");
    let redis = builder.start().await.unwrap();
    let mut errors = Vec::new();
    for user in ["elsewhere", "nobody"] {
        let handler = handler(&redis.url_of(user));
        errors.push(not_done(handler.open().await));
        errors.push(not_done(handler.read(&fresh_key()).await));
        errors.push(not_done(write(&handler, &fresh_key(), "s", &creating()).await));
        errors.push(not_done(handler.destroy(&fresh_key(), None).await));
    }
    let handler = handler(&redis.url_of("reader"));
    let key = create(&handler, "session").await;
    assert_eq!(payload(&handler, &key).await.as_deref(), Some("session"));
    errors.push(not_done(write(&handler, &key, "changed", &replacing()).await));
    errors.push(not_done(handler.touch(&key, LONG).await));
    assert!(handler.warnings().await.unwrap().is_empty(), "who may not ask is not told");
    for err in errors {
        assert_eq!(err.kind(), ErrorKind::PermissionDenied, "{err}");
        let text = format!("{err} {err:?}");
        assert!(text.contains("README") && !text.contains(PASSWORD), "{text}");
        assert!(!text.contains(&key.to_string()), "{text}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_one_clear_line_without_the_password() {
    let redis = Redis::redis().password().start().await.unwrap();
    for login in [":wr0ng@", "ann:wr0ng@", ""] {
        for protocol in ["resp2", "resp3"] {
            let url = format!("redis://{login}{}?protocol={protocol}", redis.address());
            let registry = session_http::registry();
            let err = not_done(registry.connect(&url).await);
            assert_eq!(err.kind(), ErrorKind::PermissionDenied, "{err}");
            let text = format!("{err} {err:?}");
            assert!(text.contains("password") && !text.contains("wr0ng"), "{text}");
            assert_eq!(err.to_string().lines().count(), 1);
        }
    }
}

/// The password changes while the program runs, and comes back.
#[tokio::test]
async fn a_changed_password_is_an_error_until_it_is_right_again() {
    let redis = Redis::valkey().user("app", "~* +@all").start().await.unwrap();
    let handler = handler(&redis.url_of("app"));
    let key = create(&handler, "session").await;
    let change = async |password: &str| {
        let set = ["ACL", "SETUSER", "app", "resetpass", &format!(">{password}")];
        let _: () = redis.query(&set).await.unwrap();
        let _: redis::Value = redis.query(&["CLIENT", "KILL", "USER", "app"]).await.unwrap();
    };
    change("an0ther").await;
    for _ in 0..3 {
        let err = not_done(handler.read(&key).await);
        assert_eq!(err.kind(), ErrorKind::PermissionDenied, "{err}");
        assert!(!format!("{err} {err:?}").contains(PASSWORD));
    }
    change(PASSWORD).await;
    let begin = Instant::now();
    while handler.read(&key).await.is_err() {
        assert!(begin.elapsed() < Duration::from_secs(20), "the right password is of no use");
    }
    assert_eq!(payload(&handler, &key).await.as_deref(), Some("session"));
}

/// A user without `HELLO` has RESP2, and the same answers.
#[tokio::test]
async fn who_may_not_say_hello_speaks_resp2() {
    let rights = format!("{RIGHTS} -hello");
    let redis = Redis::redis().user("app", &rights).start().await.unwrap();
    let url = redis.url_of("app");
    let handler = handler(&url);
    let key = create(&handler, "session").await;
    assert_eq!(payload(&handler, &key).await.as_deref(), Some("session"));
    let resp3 = crate::support::handler(&format!("{url}?protocol=resp3"));
    match resp3.read(&key).await {
        Ok(found) => assert_eq!(found.unwrap().payload, "session"),
        Err(err) => assert_eq!(err.kind(), ErrorKind::PermissionDenied, "{err}"),
    }
}

#[tokio::test]
async fn a_database_that_is_not_there_is_a_bad_setting() {
    let redis = Redis::redis().start().await.unwrap();
    let url = format!("redis://{}/99", redis.address());
    let err = not_done(session_http::registry().connect(&url).await);
    assert_eq!(err.kind(), ErrorKind::InvalidConfig, "{err}");
    assert!(err.to_string().contains("database"), "{err}");
}

#[tokio::test]
async fn a_socket_and_databases_work() {
    let redis = Redis::redis().password().start().await.unwrap();
    let socket = redis.directory().join("socket");
    let url = format!("unix://{}?db=3&pass={PASSWORD}", socket.display());
    let handler = handler(&url);
    let key = create(&handler, "session").await;
    let there = crate::support::handler(&format!("redis://:{PASSWORD}@{}/3", redis.address()));
    assert_eq!(payload(&there, &key).await.as_deref(), Some("session"));
    let elsewhere = crate::support::handler(&format!("redis://:{PASSWORD}@{}/2", redis.address()));
    assert_eq!(payload(&elsewhere, &key).await, None);
}

#[tokio::test]
async fn an_applications_own_client_is_used() {
    let redis = Redis::redis().password().start().await.unwrap();
    let url = format!("redis://:{PASSWORD}@{}/4", redis.address());
    let client = redis::Client::open(url.as_str()).unwrap();
    let handler = RedisHandler::from_client(client, RedisConfig::default()).unwrap();
    handler.open().await.unwrap();
    let key = create(&handler, "session").await;
    assert_eq!(payload(&crate::support::handler(&url), &key).await.as_deref(), Some("session"));
    redis.process().kill();
    redis.restart().await.unwrap();
    assert_eq!(payload(&handler, &key).await, None, "nothing was kept on disk");
    write(&handler, &key, "again", &creating()).await.unwrap();
}
