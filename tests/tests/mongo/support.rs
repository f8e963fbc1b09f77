//! Handlers on databases of their own, and what the tests do with sessions.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mongodb::bson::Document;
use mongodb::{Client, Collection};
use session_core::testkit;
use session_core::{
    Bytes, Error, OsRandom, Random, SessionHandler, SessionKey, Version, WriteMode, WriteOptions,
};
use session_mongo::{MongoConfig, MongoHandler};
use session_tests::servers::Shared;

pub(crate) const LONG: Duration = Duration::from_secs(3600);

/// The deadline of a call by default, which most outages are about.
pub(crate) const DEADLINE: Duration = Duration::from_secs(2);

/// How much later than its deadline a call may answer on a busy machine.
pub(crate) const LATE: Duration = Duration::from_secs(30);

/// Returns the name of a database that no other test has, in this run or another.
pub(crate) fn fresh_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("session_test_{}_{count}_{:08x}", std::process::id(), fastrand::u32(..))
}

/// Returns settings for a database of its own, with more time than a slow
/// machine needs.
pub(crate) fn patient(url: &str) -> MongoConfig {
    MongoConfig::new(url).with_database(fresh_name()).with_timeout(Duration::from_secs(30))
}

/// Opens a handler.
pub(crate) async fn open(config: MongoConfig) -> MongoHandler {
    MongoHandler::connect(config).await.unwrap()
}

/// Opens a handler with default settings on a server's database `tests`.
pub(crate) async fn default(url: &str) -> MongoHandler {
    open(MongoConfig::new(url)).await
}

/// Opens a handler on an empty database of its own.
pub(crate) async fn shared(server: Shared) -> MongoHandler {
    open(patient(&server.url())).await
}

/// Opens two handlers on one empty database.
pub(crate) async fn two(server: Shared) -> (MongoHandler, MongoHandler) {
    let config = patient(&server.url());
    (open(config.clone()).await, open(config).await)
}

/// Opens a handler on an empty database of its own, and the collection beside it.
pub(crate) async fn with_collection(server: Shared) -> (MongoHandler, Collection<Document>) {
    let config = patient(&server.url());
    let sessions = collection(&config).await;
    (open(config).await, sessions)
}

/// Returns the collection that a configuration names.
pub(crate) async fn collection(config: &MongoConfig) -> Collection<Document> {
    let client = Client::with_uri_str(config.uri.as_ref().unwrap()).await.unwrap();
    let database = client.database(config.database.as_deref().unwrap_or("tests"));
    database.collection(&config.collection)
}

/// Expects that a handler with these settings holds the whole contract. A small
/// server bears some cases at once, and not all of them.
pub(crate) fn holds_the_contract(config: impl Fn() -> MongoConfig + Sync) {
    for cases in testkit::cases().chunks(6) {
        assert_eq!(testkit::failures(cases, || open(config())), Vec::<&str>::new());
    }
}

pub(crate) fn fresh_key() -> SessionKey {
    let mut bytes = [0; 32];
    OsRandom.fill(&mut bytes).unwrap();
    SessionKey::from_bytes(bytes)
}

pub(crate) fn creating() -> WriteOptions {
    WriteOptions::new(WriteMode::Create, LONG)
}

pub(crate) fn replacing() -> WriteOptions {
    WriteOptions::new(WriteMode::Replace, LONG)
}

pub(crate) fn at(version: Version) -> WriteOptions {
    WriteOptions::new(WriteMode::IfVersion(version), LONG)
}

/// Creates a session that holds its own key.
pub(crate) async fn create(handler: &MongoHandler) -> (SessionKey, Version) {
    let key = fresh_key();
    let version = handler.write(&key, tag(&key), &creating()).await.unwrap();
    (key, version)
}

/// Returns a payload that tells whose it is.
pub(crate) fn tag(key: &SessionKey) -> Bytes {
    Bytes::copy_from_slice(key.as_bytes())
}

/// Returns all that an error has to say, down to its first cause.
pub(crate) fn told(err: &Error) -> String {
    let mut text = format!("{err} {err:?}");
    let mut source = std::error::Error::source(err);
    while let Some(cause) = source {
        text += &format!(" {cause} {cause:?}");
        source = cause.source();
    }
    text
}
