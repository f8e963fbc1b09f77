//! What the server answers when it is unwell, and what becomes of it.

use mongodb::bson::{Bson, Document, doc};
use session_core::ErrorKind::{self, *};
use session_core::SessionHandler;
use session_mongo::MongoHandler;
use session_tests::servers::Mongo;

use crate::outages::with_option;
use crate::support::*;

async fn fail(mongo: &Mongo, mode: impl Into<Bson>, command: &str, mut data: Document) {
    data.insert("failCommands", vec![command]);
    let point = doc! { "configureFailPoint": "failCommand", "mode": mode.into(), "data": data };
    mongo.command(point).await.unwrap();
}

async fn heal(mongo: &Mongo) {
    mongo.command(doc! { "configureFailPoint": "failCommand", "mode": "off" }).await.unwrap();
}

/// A server without a replica set, of which the driver repeats no writes.
///
/// The driver asks it again and again how it is: a server that only pretends to
/// have stepped down does not tell when it is well again.
async fn single() -> (Mongo, MongoHandler) {
    let mongo = Mongo::mongodb().fail_points().start().await.unwrap();
    let polling = "serverMonitoringMode=poll&heartbeatFrequencyMS=500";
    let config = patient(&with_option(&mongo.url(), polling));
    let handler = open(config.with_database("tests")).await;
    (mongo, handler)
}

#[tokio::test]
async fn every_answer_falls_into_its_class() {
    let (mongo, handler) = single().await;
    let (key, version) = create(&handler).await;
    let confirmation = |code: i32| {
        doc! { "writeConcernError": { "code": code, "errmsg": "injected", "codeName": "x" } }
    };
    let error = |code: i32| doc! { "errorCode": code };
    // What goes wrong, the kind of the error, and whether the write may have been made.
    let table: [(Document, ErrorKind, bool); 17] = [
        (doc! { "closeConnection": true }, Unavailable, true),
        (error(91), Unavailable, true),
        (error(189), Unavailable, true),
        (error(11600), Unavailable, true),
        (error(11602), Unavailable, true),
        (error(10107), Unavailable, false),
        (error(13435), Unavailable, false),
        (error(13436), Unavailable, false),
        (error(50), Timeout, true),
        (error(13), PermissionDenied, false),
        (error(18), PermissionDenied, false),
        (error(112), Conflict, false),
        (error(14031), StorageFull, false),
        (error(10334), TooLarge, false),
        (confirmation(64), Timeout, true),
        (confirmation(100), Unavailable, true),
        (confirmation(91), Unavailable, true),
    ];
    for (data, kind, indeterminate) in table {
        fail(&mongo, "alwaysOn", "update", data.clone()).await;
        let write = handler.write(&key, tag(&key), &replacing()).await.unwrap_err();
        let touch = handler.touch(&key, LONG).await.unwrap_err();
        heal(&mongo).await;
        fail(&mongo, "alwaysOn", "delete", data.clone()).await;
        let destroy = handler.destroy(&fresh_key(), None).await.unwrap_err();
        heal(&mongo).await;
        for err in [write, touch, destroy] {
            assert_eq!(err.kind(), kind, "{data}: {err}");
            assert_eq!(err.is_indeterminate(), indeterminate, "{data}: {err}");
            assert!(!told(&err).contains("injected"), "the server's text: {err:?}");
        }
        // Nothing of it lasts.
        assert!(handler.read(&key).await.unwrap().is_some(), "{data}");
    }
    assert_ne!(handler.read(&key).await.unwrap().unwrap().version, version);
}

#[tokio::test]
async fn a_read_that_fails_is_an_error_and_not_an_empty_session() {
    let (mongo, handler) = single().await;
    let (key, _) = create(&handler).await;
    for code in [91, 189, 10107, 11600, 11602, 13] {
        fail(&mongo, "alwaysOn", "find", doc! { "errorCode": code }).await;
        let err = handler.read(&key).await.unwrap_err();
        heal(&mongo).await;
        assert!(err.kind().is_outage(), "{code}: {err}");
        assert!(!err.is_indeterminate(), "a read changes nothing: {err}");
    }
}

#[tokio::test]
async fn what_was_not_executed_is_tried_again() {
    let (mongo, handler) = single().await;
    let (key, version) = create(&handler).await;
    for code in [10107, 13435] {
        fail(&mongo, doc! { "times": 2 }, "update", doc! { "errorCode": code }).await;
        handler.write(&key, tag(&key), &replacing()).await.unwrap();
        fail(&mongo, doc! { "times": 2 }, "find", doc! { "errorCode": code }).await;
        assert_ne!(handler.read(&key).await.unwrap().unwrap().version, version);
    }
}

/// The reply of a write is lost. Nobody sends it again, because it may have
/// been made.
#[tokio::test]
async fn what_may_have_happened_is_not_tried_again() {
    let (mongo, handler) = single().await;
    let (key, _) = create(&handler).await;
    let before = mongo.count("update").await.unwrap();
    fail(&mongo, doc! { "times": 1 }, "update", doc! { "closeConnection": true }).await;
    let err = handler.write(&key, tag(&key), &replacing()).await.unwrap_err();
    assert!(err.is_indeterminate(), "{err}");
    assert!(handler.read(&key).await.unwrap().is_some());
    assert_eq!(mongo.count("update").await.unwrap(), before);
}

#[tokio::test]
async fn a_key_that_is_taken_is_in_no_error() {
    let (_mongo, handler) = single().await;
    for _ in 0..2 {
        let (key, _) = create(&handler).await;
        let err = handler.write(&key, tag(&key), &creating()).await.unwrap_err();
        assert_eq!(err.kind(), AlreadyExists);
        let told = told(&err).to_lowercase();
        assert!(!told.contains(&key.to_string()) && !told.contains("e11000"), "{told}");
        handler.read(&key).await.unwrap();
    }
}
