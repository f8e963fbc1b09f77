//! Servers that forget scripts, or never had them.

use session_core::SessionHandler;
use session_tests::servers::{Redis, RedisCluster, redis_connection};

use crate::support::*;

#[tokio::test]
async fn scripts_that_the_server_forgot_are_sent_once_and_nobody_notices() {
    for builder in [Redis::redis(), Redis::valkey()] {
        let redis = builder.start().await.unwrap();
        let handler = handler(&redis.url());
        let key = create(&handler, "session").await;
        for round in 0..3 {
            let _: () = redis.query(&["SCRIPT", "FLUSH"]).await.unwrap();
            redis.reset_counts().await.unwrap();
            for _ in 0..5 {
                assert!(handler.touch(&key, LONG).await.unwrap());
            }
            assert_eq!(redis.count("eval").await.unwrap(), 1, "round {round}");
            assert_eq!(redis.count("evalsha").await.unwrap(), 5, "round {round}");
        }
        let _: () = redis.query(&["SCRIPT", "FLUSH"]).await.unwrap();
        write(&handler, &key, "changed", &replacing()).await.unwrap();
        let token = handler.locker().unwrap().try_lock(&key, LONG).await.unwrap().unwrap();
        let _: () = redis.query(&["SCRIPT", "FLUSH"]).await.unwrap();
        assert!(handler.locker().unwrap().unlock(&key, token).await.unwrap());
        assert!(handler.destroy(&key, None).await.unwrap());
    }
}

/// Scripts are flushed again and again while sessions are written: each write
/// happens once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_keeps_forgetting_loses_no_increment() {
    let redis = Redis::redis().start().await.unwrap();
    let handler = handler(&redis.url());
    let key = create(&handler, "0").await;
    let flushing = tokio::spawn({
        let url = redis.url();
        async move {
            let mut connection = redis_connection(url).await.unwrap();
            loop {
                let flush = redis::cmd("SCRIPT").arg("FLUSH").exec_async(&mut connection).await;
                flush.unwrap();
            }
        }
    });
    for count in 0..500 {
        let stored = handler.read(&key).await.unwrap().unwrap();
        assert_eq!(stored.payload, count.to_string());
        write(&handler, &key, &(count + 1).to_string(), &at(&stored.version)).await.unwrap();
    }
    flushing.abort();
    assert_eq!(payload(&handler, &key).await.as_deref(), Some("500"));
}

/// A replica that becomes a primary has none of the scripts.
#[tokio::test]
async fn a_new_primary_without_scripts_serves_at_once() {
    let cluster = RedisCluster::redis().start().await.unwrap();
    let handler = handler(&cluster.url());
    let key = create(&handler, "session").await;
    let slot = cluster.slot(&name(&key)).await.unwrap();
    assert!(handler.touch(&key, LONG).await.unwrap());
    let replica = cluster.primary_of(slot).await.unwrap() + 3;
    cluster.failover(replica).await.unwrap();
    let _: () = cluster.nodes()[replica].query(&["SCRIPT", "FLUSH"]).await.unwrap();
    assert!(handler.touch(&key, LONG).await.unwrap());
    write(&handler, &key, "changed", &replacing()).await.unwrap();
    assert!(handler.destroy(&key, None).await.unwrap());
}
