//! Single servers.

use std::time::Duration;

use mongodb::bson::{Document, doc};
use session_tests::servers::{
    Authority, Certificate, Mongo, PASSWORD, Redis, Sql, redis_connection,
};
use sqlx::{Connection, MySqlConnection};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_redis_that_was_killed_comes_back_on_its_port_with_its_data() {
    for builder in [Redis::redis(), Redis::valkey()] {
        let redis = builder.durable().start().await.unwrap();
        let _: () = redis.query(&["SET", "key", "value"]).await.unwrap();
        let url = redis.url();
        redis.process().kill();
        TcpStream::connect(redis.address()).await.unwrap_err();
        redis.restart().await.unwrap();
        assert_eq!(redis.url(), url);
        assert_eq!(redis.query::<String>(&["GET", "key"]).await.unwrap(), "value");
    }
}

#[tokio::test]
async fn a_database_that_was_killed_comes_back_on_its_port_with_its_data() {
    for builder in [Sql::mariadb(), Sql::mysql()] {
        let sql = builder.start().await.unwrap();
        sql.run("CREATE TABLE t (n INT); INSERT INTO t VALUES (7)").await.unwrap();
        let url = sql.url();
        sql.process().kill();
        TcpStream::connect(sql.address()).await.unwrap_err();
        sql.restart().await.unwrap();
        assert_eq!(sql.url(), url);
        let mut connection = sql.connection().await.unwrap();
        let query = sqlx::query_scalar::<_, i32>("SELECT n FROM t");
        assert_eq!(query.fetch_one(&mut connection).await.unwrap(), 7);
    }
}

#[tokio::test]
async fn a_mongodb_that_was_killed_comes_back_on_its_port_with_its_data() {
    let mongo = Mongo::mongodb().start().await.unwrap();
    let collection = mongo.direct().unwrap().database("tests").collection::<Document>("c");
    let insert = collection.insert_one(doc! { "n": 7 });
    insert.write_concern(mongodb::options::WriteConcern::majority()).await.unwrap();
    let url = mongo.url();
    mongo.process().kill();
    TcpStream::connect(mongo.address()).await.unwrap_err();
    mongo.restart().await.unwrap();
    assert_eq!(mongo.url(), url);
    let collection = mongo.direct().unwrap().database("tests").collection::<Document>("c");
    assert_eq!(collection.count_documents(doc! { "n": 7 }).await.unwrap(), 1);
}

#[tokio::test]
async fn a_stopped_server_takes_connections_and_answers_when_it_resumes() {
    let redis = Redis::redis().start().await.unwrap();
    redis.process().stop();
    TcpStream::connect(redis.address()).await.unwrap();
    let ping = ["PING"];
    let query = redis.query::<String>(&ping);
    tokio::pin!(query);
    tokio::time::timeout(Duration::from_millis(200), &mut query).await.unwrap_err();
    redis.process().resume();
    assert_eq!(query.await.unwrap(), "PONG");
}

#[tokio::test]
async fn nothing_is_left_of_a_server_that_was_dropped() {
    let redis = Redis::redis().start().await.unwrap();
    let process = format!("/proc/{}", redis.process().id().unwrap());
    let folder = redis.directory().to_owned();
    assert!(std::path::Path::new(&process).exists() && folder.exists());
    drop(redis);
    assert!(!std::path::Path::new(&process).exists() && !folder.exists());
}

#[tokio::test]
async fn a_server_that_does_not_start_says_why() {
    let error = Redis::redis().config("no-such-setting 1").start().await.unwrap_err();
    assert!(error.to_string().contains("no-such-setting"), "{error}");
    let error = Sql::mariadb().option("--no-such-setting").start().await.unwrap_err();
    assert!(error.to_string().contains("no-such-setting"), "{error}");
}

#[tokio::test]
async fn users_may_do_what_they_were_allowed_to() {
    let redis = Redis::redis().password().user("reader", "~* +get").start().await.unwrap();
    let query = async |url: String, words: [&str; 3]| {
        let mut connection = redis_connection(url).await.unwrap();
        redis::cmd(words[0]).arg(&words[1..]).query_async::<Option<String>>(&mut connection).await
    };
    query(redis.url(), ["SET", "key", "value"]).await.unwrap_err();
    query(redis.url_of("reader"), ["SET", "key", "value"]).await.unwrap_err();
    query(redis.url_of("default"), ["SET", "key", "value"]).await.unwrap();

    let mongo = Mongo::mongodb().auth().start().await.unwrap();
    mongo.user("reader", vec![doc! { "role": "read", "db": "tests" }]).await.unwrap();
    let insert = async |url: String| {
        let client = mongodb::Client::with_uri_str(url).await.unwrap();
        let collection = client.database("tests").collection::<Document>("c");
        collection.insert_one(doc! { "n": 1 }).await
    };
    insert(mongo.url_of("reader")).await.unwrap_err();
    insert(mongo.url()).await.unwrap();
    mongo.process().kill();
    mongo.restart().await.unwrap();
    insert(mongo.url()).await.unwrap();

    let sql = Sql::mysql().start().await.unwrap();
    sql.user("reader", "SELECT ON tests.*").await.unwrap();
    assert!(sql.url_of("reader").contains(PASSWORD));
    let mut reader = MySqlConnection::connect(&sql.url_of("reader")).await.unwrap();
    sqlx::raw_sql("CREATE TABLE t (n INT)").execute(&mut reader).await.unwrap_err();
}

#[tokio::test]
async fn a_server_with_tls_answers_nobody_without() {
    let authority = Authority::new().unwrap();
    let redis = Redis::redis().tls(&authority, Certificate::Good).start().await.unwrap();
    assert!(redis.url().starts_with("rediss://"));
    let plain = redis::Client::open(redis.url().replace("rediss", "redis")).unwrap();
    let mut config = redis::AsyncConnectionConfig::new();
    config = config.set_connection_timeout(Some(Duration::from_secs(1)));
    plain.get_multiplexed_async_connection_with_config(&config).await.unwrap_err();

    let mongo = Mongo::mongodb().tls(&authority, Certificate::Good).start().await.unwrap();
    let client = mongodb::Client::with_uri_str(mongo.url()).await.unwrap();
    client.database("tests").run_command(doc! { "ping": 1 }).await.unwrap();

    for (which, works) in [(Certificate::Good, true), (Certificate::OtherHost, false)] {
        let sql = Sql::mariadb().tls(&authority, which).start().await.unwrap();
        let ca = authority.file();
        let url = format!("{}?ssl-mode=VERIFY_IDENTITY&ssl-ca={}", sql.url(), ca.display());
        assert_eq!(MySqlConnection::connect(&url).await.is_ok(), works);
    }
}

#[tokio::test]
async fn the_servers_count_what_they_are_asked() {
    let redis = Redis::redis().start().await.unwrap();
    redis.reset_counts().await.unwrap();
    let _: Option<String> = redis.query(&["GET", "key"]).await.unwrap();
    assert_eq!(redis.count("get").await.unwrap(), 1);
    assert_eq!(redis.count("set").await.unwrap(), 0);

    let sql = Sql::mariadb().start().await.unwrap();
    let before = sql.status("Com_insert").await.unwrap();
    sql.run("CREATE TABLE t (n INT); INSERT INTO t VALUES (7)").await.unwrap();
    assert_eq!(sql.status("Com_insert").await.unwrap() - before, 1);

    let mongo = Mongo::mongodb().start().await.unwrap();
    let before = mongo.count("insert").await.unwrap();
    let collection = mongo.direct().unwrap().database("tests").collection::<Document>("c");
    collection.insert_one(doc! { "n": 7 }).await.unwrap();
    assert_eq!(mongo.count("insert").await.unwrap() - before, 1);
}
