//! Servers that belong together.

use mongodb::bson::{Document, doc};
use session_tests::servers::{MongoReplicaSet, RedisCluster, RedisSentinel};

#[tokio::test]
async fn sentinels_choose_another_primary_on_demand_and_when_it_dies() {
    let redis = RedisSentinel::redis().start().await.unwrap();
    assert_eq!(redis.primary().await.unwrap(), 0);
    let second = redis.failover().await.unwrap();
    assert_ne!(second, 0);
    redis.nodes()[second].process().kill();
    let third = redis.primary_after(second).await.unwrap();
    redis.nodes()[third].query::<()>(&["SET", "key", "value"]).await.unwrap();
    redis.nodes()[second].restart().await.unwrap();
    redis.settled().await.unwrap();
}

#[tokio::test]
async fn a_replica_of_the_cluster_takes_over() {
    let cluster = RedisCluster::redis().start().await.unwrap();
    let slot = cluster.slot("key").await.unwrap();
    let old = cluster.primary_of(slot).await.unwrap();
    cluster.failover(old + 3).await.unwrap();
    assert_eq!(cluster.primary_of(slot).await.unwrap(), old + 3);
    cluster.nodes()[old + 3].process().kill();
    cluster.promoted(old).await.unwrap();
    assert_eq!(cluster.primary_of(slot).await.unwrap(), old);
    cluster.nodes()[old + 3].restart().await.unwrap();
    cluster.settled().await.unwrap();
}

#[tokio::test]
async fn a_slot_of_the_cluster_moves() {
    let cluster = RedisCluster::redis().start().await.unwrap();
    let slot = cluster.slot("key").await.unwrap();
    let from = cluster.primary_of(slot).await.unwrap();
    let to = (from + 1) % 3;
    cluster.nodes()[from].query::<()>(&["SET", "key", "value"]).await.unwrap();
    cluster.start_migration(slot, to).await.unwrap();
    let error = cluster.nodes()[from].query::<()>(&["GET", "{key}other"]).await.unwrap_err();
    assert!(error.to_string().starts_with("Ask"), "{error}");
    cluster.finish_migration(slot, to).await.unwrap();
    assert_eq!(cluster.primary_of(slot).await.unwrap(), to);
    let value: String = cluster.nodes()[to].query(&["GET", "key"]).await.unwrap();
    assert_eq!(value, "value");
}

#[tokio::test]
async fn a_replica_set_elects_another_primary_on_demand_and_when_it_dies() {
    let set = MongoReplicaSet::mongodb().fail_points().start().await.unwrap();
    let client = mongodb::Client::with_uri_str(set.url()).await.unwrap();
    let collection = client.database("tests").collection::<Document>("c");
    let first = set.primary().await.unwrap();
    collection.insert_one(doc! { "n": 1 }).await.unwrap();
    let second = set.step_down().await.unwrap();
    assert_ne!(second, first);
    collection.insert_one(doc! { "n": 2 }).await.unwrap();
    set.members()[second].process().kill();
    let third = set.primary_after(second).await.unwrap();
    assert_ne!(third, second);
    assert_eq!(collection.count_documents(doc! {}).await.unwrap(), 2);
    set.members()[second].restart().await.unwrap();
    set.settled().await.unwrap();
}
