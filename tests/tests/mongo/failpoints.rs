//! What the server answers when it is unwell, and what becomes of it.

use mongodb::Collection;
use mongodb::bson::{Bson, Document, doc};
use session_core::ErrorKind::{self, *};
use session_core::SessionHandler;
use session_mongo::MongoHandler;
use session_tests::servers::{Mongo, MongoReplicaSet};

use crate::outages::{number, read_number, with_option};
use crate::support::*;

async fn fail(mongo: &Mongo, mode: impl Into<Bson>, command: &str, mut data: Document) {
    data.insert("failCommands", vec![command]);
    let point = doc! { "configureFailPoint": "failCommand", "mode": mode.into(), "data": data };
    mongo.command(point).await.unwrap();
}

/// The driver asks the server again and again how it is: one that only pretends
/// to have stepped down does not tell when it is well again.
const POLLING: &str = "serverMonitoringMode=poll&heartbeatFrequencyMS=500";

async fn heal(mongo: &Mongo) {
    mongo.command(doc! { "configureFailPoint": "failCommand", "mode": "off" }).await.unwrap();
}

/// A server without a replica set, of which the driver repeats no writes.
async fn single() -> (Mongo, MongoHandler) {
    let mongo = Mongo::mongodb().fail_points().start().await.unwrap();
    let config = patient(&with_option(&mongo.url(), POLLING));
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

/// A primary that makes a write, loses the reply, and is the primary no more when
/// the driver asks again: of the two errors the driver tells the second.
struct Lost {
    set: MongoReplicaSet,
    handler: MongoHandler,
}

impl Lost {
    async fn start() -> Self {
        let set = MongoReplicaSet::mongodb().fail_points().start().await.unwrap();
        let config = patient(&with_option(&set.url(), POLLING)).with_database("tests");
        Self { handler: open(config).await, set }
    }

    /// Loses the reply of a call that sends such a command, and has something
    /// done before the primary is well again.
    async fn reply<T>(
        &self,
        command: &str,
        call: impl Future<Output = session_core::Result<T>>,
        meanwhile: impl AsyncFnOnce(Collection<Document>),
    ) -> session_core::Result<T> {
        self.reply_and_refuse(10107, command, call, meanwhile).await
    }

    /// The same, and the second time the server refuses it with a code.
    async fn reply_and_refuse<T>(
        &self,
        code: i32,
        command: &str,
        call: impl Future<Output = session_core::Result<T>>,
        meanwhile: impl AsyncFnOnce(Collection<Document>),
    ) -> session_core::Result<T> {
        self.set.settled().await.unwrap();
        // One client, as the driver asks only so often.
        let primary = self.set.members()[self.set.primary().await.unwrap()].direct().unwrap();
        let run = async |command| primary.database("admin").run_command(command).await.unwrap();
        run(doc! {
            "configureFailPoint": "onPrimaryTransactionalWrite",
            "mode": { "times": 1 },
            "data": { "closeConnection": true },
        })
        .await;
        // It takes its time to refuse, so that it is well before the attempts are used up.
        let deny = doc! {
            "configureFailPoint": "failCommand",
            "mode": { "skip": 1 },
            "data": {
                "failCommands": [command],
                "errorCode": code,
                "blockConnection": true,
                "blockTimeMS": 1000,
            },
        };
        let times = run(deny).await.get("count").unwrap().clone();
        let times = times.as_i64().or(times.as_i32().map(i64::from)).unwrap() + 1;
        let denied = async {
            run(doc! {
                "waitForFailPoint": "failCommand",
                "timesEntered": times,
                "maxTimeMS": 60_000,
            })
            .await;
            meanwhile(primary.database("tests").collection("sessions")).await;
            run(doc! { "configureFailPoint": "failCommand", "mode": "off" }).await;
        };
        tokio::join!(call, denied).0
    }
}

async fn nothing(_: Collection<Document>) {}

/// Somebody else writes, by a command that no fail point meets.
async fn another_write(sessions: Collection<Document>) {
    let change = doc! { "$set": { "v": 7_i64 } };
    assert!(sessions.find_one_and_update(doc! {}, change).await.unwrap().is_some());
}

/// Or else whoever merges after a conflict would count twice.
#[tokio::test]
async fn an_own_write_is_no_conflict_when_the_primary_steps_down_after_it() {
    let lost = Lost::start().await;
    let handler = &lost.handler;
    let key = fresh_key();
    let creating = creating();
    let create = handler.write(&key, number(1), &creating);
    let version = lost.reply("update", create, nothing).await.unwrap();
    let read = handler.read(&key).await.unwrap().unwrap();
    assert_eq!((read.version, read_number(handler, &key).await), (version.clone(), 1));

    let options = at(version);
    let version = lost.reply("update", handler.write(&key, number(2), &options), nothing).await;
    let read = handler.read(&key).await.unwrap().unwrap();
    assert_eq!((read.version, read_number(handler, &key).await), (version.unwrap(), 2));

    let other = fresh_key();
    let create = handler.write(&other, number(1), &creating);
    let version = lost.reply("insert", create, nothing).await.unwrap();
    assert_eq!(handler.read(&other).await.unwrap().unwrap().version, version);
}

/// What others have built upon, or destroyed meanwhile, does not tell.
#[tokio::test]
async fn what_cannot_be_told_after_a_step_down_is_not_denied() {
    let lost = Lost::start().await;
    let handler = &lost.handler;
    let (key, version) = create(handler).await;
    let options = at(version);
    let write = handler.write(&key, number(2), &options);
    let err = lost.reply("update", write, another_write).await.unwrap_err();
    assert!(err.kind() == Unavailable && err.is_indeterminate(), "{err}");

    let version = handler.read(&key).await.unwrap().unwrap().version;
    let destroy = handler.destroy(&key, Some(&version));
    let err = lost.reply("delete", destroy, nothing).await.unwrap_err();
    assert!(err.kind() == Unavailable && err.is_indeterminate(), "{err}");
    assert!(handler.read(&key).await.unwrap().is_none());
}

/// Twice is not once for what names no version: it would undo what others wrote
/// in between.
#[tokio::test]
async fn what_names_no_version_is_not_made_again_after_a_step_down() {
    let lost = Lost::start().await;
    let handler = &lost.handler;
    let (key, _) = create(handler).await;
    let options = replacing();
    let write = handler.write(&key, number(2), &options);
    let err = lost.reply("update", write, another_write).await.unwrap_err();
    assert!(err.kind() == Unavailable && err.is_indeterminate(), "{err}");
    let read = handler.read(&key).await.unwrap().unwrap();
    assert_eq!(read.version, session_core::Version::counter(7), "it was made again");

    let err = lost.reply("update", handler.touch(&key, 2 * LONG), nothing).await.unwrap_err();
    assert!(err.is_indeterminate(), "{err}");
    let err = lost.reply("delete", handler.destroy(&key, None), nothing).await.unwrap_err();
    assert!(err.is_indeterminate(), "{err}");
}

/// The driver tells of the refusal alone, and that is not all there is to tell.
#[tokio::test]
async fn a_refusal_that_follows_a_lost_reply_does_not_deny_the_write() {
    let lost = Lost::start().await;
    let handler = &lost.handler;
    for (code, kind) in [(13, PermissionDenied), (14031, StorageFull), (225, Internal)] {
        let (key, version) = create(handler).await;
        let options = at(version);
        let write = handler.write(&key, number(2), &options);
        let err = lost.reply_and_refuse(code, "update", write, nothing).await.unwrap_err();
        assert!(err.kind() == kind && err.is_indeterminate(), "{code}: {err}");
        assert_eq!(read_number(handler, &key).await, 2, "it was made");

        let touch = handler.touch(&key, 2 * LONG);
        let err = lost.reply_and_refuse(code, "update", touch, nothing).await.unwrap_err();
        assert!(err.kind() == kind && err.is_indeterminate(), "{code}: {err}");

        let destroy = handler.destroy(&key, None);
        let err = lost.reply_and_refuse(code, "delete", destroy, nothing).await.unwrap_err();
        assert!(err.kind() == kind && err.is_indeterminate(), "{code}: {err}");
        assert!(handler.read(&key).await.unwrap().is_none(), "it was made");
    }
}

/// Without repetitions there is nothing to be in doubt about.
#[tokio::test]
async fn a_refusal_is_certain_where_the_driver_repeats_no_writes() {
    let set = MongoReplicaSet::mongodb().fail_points().start().await.unwrap();
    set.settled().await.unwrap();
    let url = with_option(&with_option(&set.url(), POLLING), "retryWrites=false");
    let handler = open(patient(&url).with_database("tests")).await;
    let (key, _) = create(&handler).await;
    let primary = &set.members()[set.primary().await.unwrap()];
    fail(primary, "alwaysOn", "update", doc! { "errorCode": 13 }).await;
    let err = handler.touch(&key, LONG).await.unwrap_err();
    assert!(err.kind() == PermissionDenied && !err.is_indeterminate(), "{err}");
    heal(primary).await;
}
