//! The index of owners: what it leaves behind, and what it survives.

use std::time::Duration;

use session_core::{Owner, PageRequest, SessionHandler, WriteMode, WriteOptions};
use session_redis::{RedisConfig, RedisHandler};
use session_tests::proxy::{Direction, Fault, Proxy};
use session_tests::servers::{Redis, RedisCluster};

use crate::support::*;

fn ann() -> Owner {
    Owner::new("ann").unwrap()
}

async fn owned(handler: &RedisHandler) -> usize {
    handler.index().unwrap().sessions(&ann(), &PageRequest::first(1000)).await.unwrap().items.len()
}

/// Returns how many entries there are, whether their sessions live or not.
async fn entries(redis: &Redis) -> u64 {
    let names: Vec<String> = redis.query(&["KEYS", "session:owner:*"]).await.unwrap();
    let mut count = 0;
    for name in names {
        count += redis.query::<u64>(&["ZCARD", &name]).await.unwrap();
    }
    count
}

#[tokio::test]
async fn what_ends_a_session_takes_its_entry_along() {
    for builder in [Redis::redis(), Redis::valkey()] {
        let redis = builder.start().await.unwrap();
        let handler = handler(&redis.url());
        let bound = || creating().with_owner(ann());
        let keys = [fresh_key(), fresh_key(), fresh_key(), fresh_key()];
        for key in &keys {
            write(&handler, key, "bound", &bound()).await.unwrap();
        }
        assert_eq!((entries(&redis).await, owned(&handler).await), (4, 4));

        assert!(handler.destroy(&keys[0], None).await.unwrap());
        let version = handler.read(&keys[1]).await.unwrap().unwrap().version;
        assert!(handler.destroy(&keys[1], Some(&version)).await.unwrap());
        let version = handler.read(&keys[2]).await.unwrap().unwrap().version;
        write(&handler, &keys[2], "pointer", &at(&version).as_pointer()).await.unwrap();
        write(&handler, &keys[3], "free", &replacing()).await.unwrap();
        assert_eq!((entries(&redis).await, owned(&handler).await), (0, 0));

        let version = handler.read(&keys[3]).await.unwrap().unwrap().version;
        let again = at(&version).with_owner(ann());
        write(&handler, &keys[3], "bound again", &again).await.unwrap();
        assert_eq!((entries(&redis).await, owned(&handler).await), (1, 1));
        let bob = replacing().with_owner(Owner::new("bob").unwrap());
        write(&handler, &keys[3], "another's", &bob).await.unwrap();
        assert_eq!((entries(&redis).await, owned(&handler).await), (1, 0));
        assert_eq!(handler.index().unwrap().revoke(&ann(), None).await.unwrap(), 0);
        assert!(payload(&handler, &keys[3]).await.is_some());
    }
}

/// Entries of sessions that expired go when somebody is added after their time,
/// and the key of an owner who never comes back goes by itself.
#[tokio::test]
async fn entries_go_when_their_time_is_over() {
    let redis = Redis::redis().start().await.unwrap();
    let handler = handler(&redis.url());
    let brief = WriteOptions::new(WriteMode::Create, Duration::from_millis(1)).with_owner(ann());
    for _ in 0..20 {
        write(&handler, &fresh_key(), "brief", &brief).await.unwrap();
    }
    let names: Vec<String> = redis.query(&["KEYS", "session:owner:*"]).await.unwrap();
    let [name] = &names[..] else { panic!("one owner, {} keys", names.len()) };
    let left: u64 = redis.query(&["PTTL", name]).await.unwrap();
    assert!(left > 0 && left <= 3_700_000, "the key of an owner goes after an hour: {left} ms");

    // The hour is over: what is an hour past its moment goes with the next entry.
    let members: Vec<Vec<u8>> = redis.query(&["ZRANGE", name, "0", "-1"]).await.unwrap();
    assert_eq!(members.len(), 20);
    let mut connection = redis.connection().await.unwrap();
    for member in members {
        let mut by = redis::cmd("ZINCRBY");
        by.arg(name).arg(-3_600_001).arg(member);
        by.exec_async(&mut connection).await.unwrap();
    }
    let bound = creating().with_owner(ann());
    write(&handler, &fresh_key(), "bound", &bound).await.unwrap();
    assert_eq!(entries(&redis).await, 1);
}

/// A session in use stays in its owner's index, however often it is touched.
#[tokio::test]
async fn an_entry_outlives_its_session_through_all_touches() {
    let redis = Redis::valkey().start().await.unwrap();
    let handler = handler(&redis.url());
    let key = fresh_key();
    write(&handler, &key, "bound", &creating().with_owner(ann())).await.unwrap();
    for times in [1, 2, 3, 5, 8, 13, 2, 21] {
        assert!(handler.touch(&key, times * LONG).await.unwrap());
        let left: u64 = redis.query(&["PTTL", &name(&key)]).await.unwrap();
        let owners: Vec<String> = redis.query(&["KEYS", "session:owner:*"]).await.unwrap();
        let score: Vec<(String, u64)> = {
            let mut connection = redis.connection().await.unwrap();
            let mut cmd = redis::cmd("ZRANGE");
            cmd.arg(&owners[0]).arg(0).arg(-1).arg("WITHSCORES");
            let raw: Vec<(Vec<u8>, u64)> = cmd.query_async(&mut connection).await.unwrap();
            raw.into_iter().map(|(_, score)| (String::new(), score)).collect()
        };
        let (seconds, micros): (u64, u64) = redis.query(&["TIME"]).await.unwrap();
        let now = seconds * 1000 + micros / 1000;
        assert!(score[0].1 + 1000 >= now + left, "the entry goes before its session");
        let key_left: u64 = redis.query(&["PTTL", &owners[0]]).await.unwrap();
        assert!(key_left > left, "the owner's key goes before the session");
    }
    assert_eq!(owned(&handler).await, 1);
}

/// Between the two steps of a touch the session becomes another's.
#[tokio::test]
async fn a_touch_leaves_the_entry_of_a_new_owner_alone() {
    let redis = Redis::valkey().start().await.unwrap();
    let proxy = Proxy::start(redis.address()).await.unwrap();
    let clean = handler(&redis.url());
    let config = RedisConfig::new(proxy.url(&redis.url())).with_timeout(PATIENCE);
    let touching = RedisHandler::new(config).unwrap();
    let owners = async || redis.query::<Vec<String>>(&["KEYS", "session:owner:*"]).await.unwrap();
    for times in [3, 30] {
        let key = fresh_key();
        write(&clean, &key, "bound", &creating().with_owner(ann())).await.unwrap();
        let anns = owners().await;
        let renews = proxy.next_with(Direction::Request, b"session:owner:", Fault::Stall);
        let touched = tokio::spawn({
            let touching = touching.clone();
            async move { touching.touch(&key, times * LONG).await }
        });
        renews.wait().await;
        let bob = WriteOptions::new(WriteMode::Replace, 10 * LONG);
        let bob = bob.with_owner(Owner::new("bob").unwrap());
        write(&clean, &key, "another's", &bob).await.unwrap();
        proxy.heal();
        assert!(touched.await.unwrap().unwrap());
        // The record names bob's entry, so that it goes with the record.
        assert_eq!(owners().await.len(), 2);
        assert!(clean.destroy(&key, None).await.unwrap());
        assert_eq!(owners().await, anns);
    }
}

/// An owner's sessions are on all nodes of a cluster.
#[tokio::test]
async fn an_owner_in_a_cluster_has_sessions_on_all_nodes() {
    let cluster = RedisCluster::redis().start().await.unwrap();
    let handler = handler(&cluster.url());
    for _ in 0..50 {
        write(&handler, &fresh_key(), "bound", &creating().with_owner(ann())).await.unwrap();
    }
    assert_eq!(owned(&handler).await, 50);
    for node in &cluster.nodes()[..3] {
        assert!(node.query::<u64>(&["DBSIZE"]).await.unwrap() > 3, "slots are not spread");
    }
    assert_eq!(handler.lister().unwrap().count().await.unwrap(), 50);
    let keep = fresh_key();
    write(&handler, &keep, "kept", &creating().with_owner(ann())).await.unwrap();
    assert_eq!(handler.index().unwrap().cap(&ann(), 10, &keep).await.unwrap(), 41);
    assert_eq!(handler.index().unwrap().revoke(&ann(), Some(&keep)).await.unwrap(), 9);
    assert_eq!(owned(&handler).await, 1);
}
