//! What `open` makes of the collection that it finds.

use std::time::Duration;

use futures_util::future::join_all;
use mongodb::IndexModel;
use mongodb::bson::{DateTime, Document, doc};
use mongodb::options::IndexOptions;
use session_core::{ErrorKind, GcRequest, SessionHandler};
use session_mongo::{Indexes, MongoConfig, MongoHandler};
use session_tests::servers::{Mongo, Shared};

use crate::support::*;

fn index(keys: Document, expire: Option<u64>) -> IndexModel {
    let mut options = IndexOptions::default();
    options.expire_after = expire.map(Duration::from_secs);
    IndexModel::builder().keys(keys).options(options).build()
}

async fn names(config: &MongoConfig) -> Vec<String> {
    // A collection that is not there has none.
    let mut names = collection(config).await.list_index_names().await.unwrap_or_default();
    names.sort_unstable();
    names
}

fn config() -> MongoConfig {
    patient(&Shared::MongoDb.url())
}

#[tokio::test]
async fn missing_indexes_are_made_once() {
    let config = config();
    for _ in 0..2 {
        open(config.clone()).await;
        assert_eq!(names(&config).await, ["_id_", "session_expiry", "session_owner"]);
    }
    open(config.clone().with_indexes(Indexes::Check)).await;
}

/// Those of the sessions are there, and that of the locks is not: its collection
/// was dropped, or a process ended between the two.
#[tokio::test]
async fn a_missing_index_of_the_locks_is_told_and_made() {
    let config = config();
    open(config.clone()).await;
    let locks = collection(&config.clone().with_collection("sessions_locks")).await;
    locks.drop().await.unwrap();
    let checking = MongoHandler::new(config.clone().with_indexes(Indexes::Check)).unwrap();
    let err = checking.open().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    assert!(err.to_string().contains("db.sessions_locks.createIndex({until: 1}"), "{err}");
    open(config).await;
    assert_eq!(locks.list_index_names().await.unwrap(), ["_id_", "lock_expiry"]);
    checking.open().await.unwrap();
}

#[tokio::test]
async fn processes_that_start_together_do_not_get_in_each_others_way() {
    for server in [Shared::MongoDb, Shared::MongoDbReplicaSet] {
        let config = patient(&server.url());
        join_all((0..8).map(|_| open(config.clone()))).await;
        assert_eq!(names(&config).await, ["_id_", "session_expiry", "session_owner"]);
    }
}

#[tokio::test]
async fn indexes_that_do_the_same_are_good_enough() {
    let config = config();
    let sessions = collection(&config).await;
    sessions.create_index(index(doc! { "exp": 1 }, Some(0))).await.unwrap();
    sessions.create_index(index(doc! { "owner": 1 }, None)).await.unwrap();
    open(config.clone()).await;
    assert_eq!(names(&config).await, ["_id_", "exp_1", "owner_1"]);
}

#[tokio::test]
async fn an_index_that_would_end_sessions_early_or_never_is_refused() {
    for (model, word) in [
        (index(doc! { "touched": 1 }, Some(60)), "TTL"),
        (index(doc! { "created": 1 }, Some(60)), "TTL"),
        (index(doc! { "exp": 1 }, None), "expireAfterSeconds"),
    ] {
        let config = config();
        collection(&config).await.create_index(model).await.unwrap();
        let err = MongoHandler::new(config).unwrap().open().await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidConfig, "{err}");
        assert!(err.to_string().contains(word), "{err}");
    }
}

#[tokio::test]
async fn a_name_that_another_index_has_is_told() {
    let config = config();
    let mut model = index(doc! { "other": 1 }, None);
    model.options.as_mut().unwrap().name = Some("session_expiry".into());
    collection(&config).await.create_index(model).await.unwrap();
    let err = MongoHandler::new(config).unwrap().open().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    assert!(err.to_string().contains("same name"), "{err}");
}

#[tokio::test]
async fn a_collection_of_something_else_is_refused() {
    let later = DateTime::from_millis(i64::MAX / 2);
    for foreign in [
        doc! { "name": "ann" },
        doc! { "_id": "a session of another program", "expires": later },
        doc! { "_id": 7, "v": 1_i64, "exp": "2999-01-01T00:00:00Z" },
    ] {
        let config = config();
        collection(&config).await.insert_one(foreign).await.unwrap();
        let err = MongoHandler::new(config.clone()).unwrap().open().await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidConfig, "{err}");
        assert!(err.to_string().contains("session.collection"), "{err}");
        assert_eq!(names(&config).await, ["_id_"]);
    }
}

#[tokio::test]
async fn checking_makes_nothing_and_names_what_is_missing() {
    let config = config().with_indexes(Indexes::Check);
    let err = MongoHandler::new(config.clone()).unwrap().open().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    assert!(err.to_string().contains("db.sessions.createIndex({exp: 1}"), "{err}");
}

/// Without an index and without the server's own monitor sessions end in time
/// and are collected.
#[tokio::test]
async fn sessions_end_without_the_servers_help() {
    let mongo = Mongo::mongodb().option("--setParameter=ttlMonitorEnabled=false").start();
    let mongo = mongo.await.unwrap();
    for indexes in [Indexes::Create, Indexes::Ignore] {
        let config = patient(&mongo.url()).with_indexes(indexes);
        let sessions = collection(&config).await;
        let handler = open(config.clone()).await;
        assert_eq!(names(&config).await.len(), if indexes == Indexes::Create { 3 } else { 0 });
        let key = fresh_key();
        let mut brief = creating();
        brief.idle = Duration::from_millis(20);
        let version = handler.write(&key, "one".into(), &brief).await.unwrap();
        create(&handler).await;
        while handler.read(&key).await.unwrap().is_some() {
            tokio::task::yield_now().await;
        }
        for options in [replacing(), at(version.clone())] {
            let err = handler.write(&key, "late".into(), &options).await.unwrap_err();
            assert_eq!(err.kind(), ErrorKind::Gone);
        }
        assert!(!handler.touch(&key, LONG).await.unwrap());
        assert!(!handler.destroy(&key, None).await.unwrap());
        assert_eq!(handler.lister().unwrap().count().await.unwrap(), 1);
        assert_eq!(sessions.count_documents(doc! {}).await.unwrap(), 2);
        let report = handler.gc(&GcRequest::default()).await.unwrap();
        assert_eq!((report.removed, report.more), (1, false));
        assert_eq!(sessions.count_documents(doc! {}).await.unwrap(), 1);
    }
}

/// The server's own monitor takes what has expired for longer than the slack.
#[tokio::test]
async fn the_server_removes_what_expired_long_ago() {
    let mongo = Mongo::mongodb().option("--setParameter=ttlMonitorSleepSecs=1").start();
    let mongo = mongo.await.unwrap();
    let config = patient(&mongo.url());
    let sessions = collection(&config).await;
    let handler = open(config).await;
    let (living, _) = create(&handler).await;
    let (dead, _) = create(&handler).await;
    let long_ago = DateTime::from_millis(DateTime::now().timestamp_millis() - 120_000);
    let filter = doc! { "_id": mongodb::bson::Binary {
        subtype: mongodb::bson::spec::BinarySubtype::Generic,
        bytes: dead.as_bytes().to_vec(),
    } };
    sessions.update_one(filter, doc! { "$set": { "exp": long_ago } }).await.unwrap();
    while sessions.count_documents(doc! {}).await.unwrap() > 1 {
        tokio::task::yield_now().await;
    }
    assert!(handler.read(&living).await.unwrap().is_some());
}
