//! Servers whose time of day the test moves.

use std::time::Duration;

use mongodb::bson::{Document, doc};
use session_tests::servers::{Clock, Mongo, Own, Redis, RedisCluster, RedisSentinel, Shared};
use sqlx::{Connection, MySqlConnection};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const YEAR: Duration = Duration::from_secs(366 * 24 * 3600);

/// Asserts that a key of two hours lives as long as the clock says. Valkey counts on
/// between two looks at the clock, so a minute is left for that.
async fn a_key_lives_by_the_clock(clock: &Clock, redis: &Redis) {
    let _: () = redis.query(&["SET", "key", "value", "EX", "7200"]).await.unwrap();
    clock.advance(HOUR).unwrap();
    redis.follow(clock).await.unwrap();
    let left: u64 = redis.query(&["TTL", "key"]).await.unwrap();
    assert!((3600..3660).contains(&left), "{left}");
    clock.advance(HOUR - MINUTE).unwrap();
    redis.follow(clock).await.unwrap();
    assert_eq!(redis.query::<String>(&["GET", "key"]).await.unwrap(), "value");
    clock.advance(2 * MINUTE).unwrap();
    redis.follow(clock).await.unwrap();
    assert_eq!(redis.query::<Option<String>>(&["GET", "key"]).await.unwrap(), None);
}

#[tokio::test]
async fn keys_of_redis_and_valkey_live_by_the_clock() {
    for builder in [Redis::redis(), Redis::valkey()] {
        let clock = Clock::new().unwrap();
        let redis = builder.clock(&clock).start().await.unwrap();
        clock.advance(Duration::ZERO).unwrap();
        redis.follow(&clock).await.unwrap();
        a_key_lives_by_the_clock(&clock, &redis).await;
    }
}

#[tokio::test]
async fn a_cluster_survives_a_year_in_a_moment() {
    let clock = Clock::new().unwrap();
    let cluster = RedisCluster::redis().clock(&clock).start().await.unwrap();
    clock.advance(YEAR).unwrap();
    let owner = cluster.primary_of(cluster.slot("key").await.unwrap()).await.unwrap();
    let owner = &cluster.nodes()[owner];
    owner.follow(&clock).await.unwrap();
    a_key_lives_by_the_clock(&clock, owner).await;
    cluster.settled().await.unwrap();
}

#[tokio::test]
async fn a_primary_under_sentinels_survives_a_year_in_a_moment() {
    let clock = Clock::new().unwrap();
    let redis = RedisSentinel::redis().clock(&clock).start().await.unwrap();
    clock.advance(YEAR).unwrap();
    redis.nodes()[0].follow(&clock).await.unwrap();
    a_key_lives_by_the_clock(&clock, &redis.nodes()[0]).await;
    assert_eq!(redis.primary().await.unwrap(), 0);
    redis.settled().await.unwrap();
}

#[tokio::test]
async fn mariadb_and_mysql_live_by_the_clock() {
    for shared in [Shared::MariaDb, Shared::MySql] {
        let server = shared.start_timed().await.unwrap();
        let now = async || {
            let mut connection = MySqlConnection::connect(&server.url()).await.unwrap();
            let time = "CAST(UNIX_TIMESTAMP(SYSDATE(3)) * 1000 AS SIGNED)";
            let query =
                sqlx::AssertSqlSafe(format!("SELECT {time}, UTC_TIMESTAMP(3) = SYSDATE(3)"));
            let (now, same): (i64, bool) =
                sqlx::query_as(query).fetch_one(&mut connection).await.unwrap();
            assert!(same);
            now
        };
        let before = now().await;
        assert_eq!(now().await, before);
        server.advance(YEAR).await.unwrap();
        assert_eq!(now().await - before, 366 * 24 * 3_600_000);
    }
}

#[tokio::test]
async fn a_connection_does_not_survive_a_move_of_the_clock() {
    let server = Shared::MariaDb.start_timed().await.unwrap();
    let mut connection = MySqlConnection::connect(&server.url()).await.unwrap();
    connection.ping().await.unwrap();
    server.advance(SECOND).await.unwrap();
    connection.ping().await.unwrap_err();
}

#[tokio::test]
async fn what_is_in_a_mongodb_becomes_older() {
    let mongo = Mongo::mongodb().start().await.unwrap();
    let own = Own::of(Shared::MongoDb, mongo.url());
    let client = mongodb::Client::with_uri_str(own.url()).await.unwrap();
    let collection = client.default_database().unwrap().collection::<Document>("c");
    let end = mongodb::bson::DateTime::now();
    collection.insert_one(doc! { "_id": 1, "text": "a", "end": end, "n": 5_i64 }).await.unwrap();
    own.age(SECOND).await.unwrap();
    let older = collection.find_one(doc! {}).await.unwrap().unwrap();
    let second_before = end.timestamp_millis() - 1000;
    assert_eq!(older.get_datetime("end").unwrap().timestamp_millis(), second_before);
    assert_eq!((older.get_str("text").unwrap(), older.get_i64("n").unwrap()), ("a", 5));
    own.clear().await.unwrap();
    assert_eq!(collection.count_documents(doc! {}).await.unwrap(), 0);
}
