//! Handlers, keys and calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use session_core::{
    Bytes, Error, PageRequest, Result, SessionHandler, SessionKey, SessionMeta, Version, WriteMode,
    WriteOptions, testkit,
};
use session_redis::{RedisConfig, RedisHandler};
use session_tests::servers::{PASSWORD, RedisSentinel, Shared};

/// A lifetime that no test sees the end of.
pub(crate) const LONG: Duration = Duration::from_secs(600);

/// More than the default deadline of a call, and what a busy machine may add.
pub(crate) const SLACK: Duration = Duration::from_secs(30);

/// A deadline that a server which is well meets on any machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

static PREFIXES: AtomicU32 = AtomicU32::new(0);

/// Returns a prefix that no other test has, not even of another run.
pub(crate) fn prefix() -> String {
    let number = PREFIXES.fetch_add(1, Ordering::Relaxed);
    format!("{}-{number}-{:08x}:", std::process::id(), fastrand::u32(..))
}

/// Adds options to a URI.
pub(crate) fn with(url: &str, options: &str) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    if options.is_empty() { url.to_owned() } else { format!("{url}{separator}{options}") }
}

/// Returns a handler on an empty part of a shared server, by its URI. A prefix
/// among the options stands in front of that part's own.
pub(crate) async fn shared(server: Shared, options: &str) -> Arc<dyn SessionHandler> {
    session_http::registry().connect(&uri(server, options)).await.unwrap()
}

/// Returns two handlers on one empty part of a shared server.
pub(crate) async fn two(
    server: Shared,
    options: &str,
) -> (Arc<dyn SessionHandler>, Arc<dyn SessionHandler>) {
    let (registry, uri) = (session_http::registry(), uri(server, options));
    (registry.connect(&uri).await.unwrap(), registry.connect(&uri).await.unwrap())
}

fn uri(server: Shared, options: &str) -> String {
    let (options, tag) = options.split_once("session.prefix=").unwrap_or((options, ""));
    let own = format!("session.timeout={}&session.prefix={tag}{}", PATIENCE.as_secs(), prefix());
    with(&with(&server.url(), options.trim_end_matches('&')), &own)
}

/// Returns a handler with the default settings.
pub(crate) fn handler(url: &str) -> RedisHandler {
    RedisHandler::new(RedisConfig::new(url)).unwrap()
}

/// Has a replica confirm, and waits for it as long as a busy machine may need.
pub(crate) fn confirmed(config: RedisConfig) -> RedisConfig {
    let patience = Duration::from_secs(10);
    config.with_replica_acks(1, patience).with_timeout(2 * patience)
}

/// Looks whether the whole contract is fulfilled on the servers that the settings name.
pub(crate) fn conforms(config: &RedisConfig) {
    let parts = AtomicU32::new(0);
    let failures = testkit::failures(testkit::cases(), || async {
        let number = parts.fetch_add(1, Ordering::Relaxed);
        let config = config.clone().with_prefix(format!("session:{number}:"));
        RedisHandler::connect(config).await.unwrap()
    });
    assert_eq!(failures, [""; 0]);
}

/// Returns all sessions of a handler. A page is short, or empty, where few of the
/// server's keys are sessions of this handler.
pub(crate) async fn listed(handler: &dyn SessionHandler) -> Vec<SessionMeta> {
    let mut request = PageRequest::first(100);
    let mut all = Vec::new();
    loop {
        let page = handler.lister().unwrap().list(&request).await.unwrap();
        all.extend(page.items);
        let Some(next) = page.next else { return all };
        request.cursor = Some(next);
    }
}

/// Draws a key.
pub(crate) fn fresh_key() -> SessionKey {
    let mut bytes = [0; 32];
    bytes.fill_with(|| fastrand::u8(..));
    SessionKey::from_bytes(bytes)
}

/// Returns the name of a session's key, with the default prefix.
pub(crate) fn name(key: &SessionKey) -> String {
    format!("session:{key}")
}

pub(crate) fn creating() -> WriteOptions {
    WriteOptions::new(WriteMode::Create, LONG)
}

pub(crate) fn replacing() -> WriteOptions {
    WriteOptions::new(WriteMode::Replace, LONG)
}

pub(crate) fn at(version: &Version) -> WriteOptions {
    WriteOptions::new(WriteMode::IfVersion(version.clone()), LONG)
}

pub(crate) async fn write(
    handler: &dyn SessionHandler,
    key: &SessionKey,
    payload: &str,
    options: &WriteOptions,
) -> Result<Version> {
    handler.write(key, Bytes::copy_from_slice(payload.as_bytes()), options).await
}

/// Creates a session.
pub(crate) async fn create(handler: &dyn SessionHandler, payload: &str) -> SessionKey {
    let key = fresh_key();
    write(handler, &key, payload, &creating()).await.unwrap();
    key
}

/// Returns the payload of a session, if there is one.
pub(crate) async fn payload(handler: &dyn SessionHandler, key: &SessionKey) -> Option<String> {
    let stored = handler.read(key).await.unwrap()?;
    Some(String::from_utf8(stored.payload.to_vec()).unwrap())
}

/// Expects the error of a call that did nothing, in one line and without a password.
pub(crate) fn clear_line<T: std::fmt::Debug>(result: Result<T>) -> Error {
    let err = not_done(result);
    let text = format!("{err} {err:?}");
    for secret in [PASSWORD, RedisSentinel::SENTINELS_PASSWORD] {
        assert!(!text.contains(secret), "{text}");
    }
    assert_eq!(err.to_string().lines().count(), 1, "{err}");
    err
}

/// Expects an error that says that nothing happened.
pub(crate) fn not_done<T: std::fmt::Debug>(result: Result<T>) -> Error {
    let err = result.unwrap_err();
    assert!(!err.is_indeterminate(), "{err}");
    err
}
