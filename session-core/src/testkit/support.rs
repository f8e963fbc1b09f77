//! What the cases share: keys, lifetimes, and calls that must work.

use std::time::{Duration, Instant};

use crate::{
    Bytes, Error, ErrorKind, GcRequest, OsRandom, Random, SessionHandler, SessionKey, Stored,
    Version, WriteMode, WriteOptions,
};

/// How far the end of a lifetime may be off: a second.
pub const GRAIN: Duration = Duration::from_secs(1);

/// A lifetime that outlasts every test.
pub(super) const LONG: Duration = Duration::from_secs(3600);
/// A lifetime to wait for.
pub(super) const SHORT: Duration = Duration::from_millis(40);
/// Between two looks at something that takes time.
const PAUSE: Duration = Duration::from_millis(5);

/// Draws a key that no other test has.
pub(super) fn fresh_key() -> SessionKey {
    let mut bytes = [0; 32];
    OsRandom.fill(&mut bytes).expect("random bytes");
    SessionKey::from_bytes(bytes)
}

pub(super) fn fresh_keys(count: usize) -> Vec<SessionKey> {
    (0..count).map(|_| fresh_key()).collect()
}

/// Options of a plain [`WriteMode::Create`].
pub(super) const fn creating(idle: Duration) -> WriteOptions {
    WriteOptions::new(WriteMode::Create, idle)
}

/// Options of a plain [`WriteMode::Replace`].
pub(super) const fn replacing(idle: Duration) -> WriteOptions {
    WriteOptions::new(WriteMode::Replace, idle)
}

/// Options of a plain [`WriteMode::IfVersion`] with a long lifetime.
pub(super) const fn at(version: Version) -> WriteOptions {
    WriteOptions::new(WriteMode::IfVersion(version), LONG)
}

/// Creates a session with a lifetime, and expects that it works.
pub(super) async fn create(
    handler: &dyn SessionHandler,
    key: &SessionKey,
    payload: &'static str,
    idle: Duration,
) -> Version {
    write(handler, key, payload, &creating(idle)).await
}

/// Writes, and expects that it works.
pub(super) async fn write(
    handler: &dyn SessionHandler,
    key: &SessionKey,
    payload: &'static str,
    options: &WriteOptions,
) -> Version {
    handler.write(key, Bytes::from_static(payload.as_bytes()), options).await.expect("write")
}

/// Writes, and expects that it is refused for this reason and nothing happened.
pub(super) async fn refused(
    handler: &dyn SessionHandler,
    key: &SessionKey,
    options: &WriteOptions,
    kind: ErrorKind,
) -> Error {
    let result = handler.write(key, Bytes::from_static(b"refused"), options).await;
    let err = result.expect_err("a write that must be refused was accepted");
    assert_eq!(err.kind(), kind, "{err}");
    assert!(!err.is_indeterminate(), "a refusal says that nothing happened: {err}");
    err
}

/// Reads, and expects no error.
pub(super) async fn read(handler: &dyn SessionHandler, key: &SessionKey) -> Option<Stored> {
    handler.read(key).await.expect("read")
}

/// Reads, and expects a session.
pub(super) async fn stored(handler: &dyn SessionHandler, key: &SessionKey) -> Stored {
    read(handler, key).await.expect("the session is gone, although nothing ended it")
}

/// Expects a live session with this payload.
pub(super) async fn holds(handler: &dyn SessionHandler, key: &SessionKey, payload: &str) {
    assert_eq!(stored(handler, key).await.payload, payload.as_bytes());
}

/// Expects that a session is gone for every call but a creation.
pub(super) async fn gone(handler: &dyn SessionHandler, key: &SessionKey) {
    assert!(read(handler, key).await.is_none(), "the session can be read");
    assert!(!touch(handler, key, LONG).await, "the session can be touched");
    refused(handler, key, &replacing(LONG), ErrorKind::Gone).await;
    refused(handler, key, &at(Version::counter(1)), ErrorKind::Gone).await;
    assert!(!destroy(handler, key).await, "the session can be destroyed");
    assert!(read(handler, key).await.is_none(), "a refused call brought the session back");
}

/// Touches, and expects no error.
pub(super) async fn touch(handler: &dyn SessionHandler, key: &SessionKey, idle: Duration) -> bool {
    handler.touch(key, idle).await.expect("touch")
}

/// Destroys, and expects no error.
pub(super) async fn destroy(handler: &dyn SessionHandler, key: &SessionKey) -> bool {
    handler.destroy(key, None).await.expect("destroy")
}

/// Waits until a session with this much left has expired.
///
/// Fails if a read that begins later than [`GRAIN`] after the end still gets it.
/// A slow machine only makes that read begin later.
pub(super) async fn expired(handler: &dyn SessionHandler, key: &SessionKey, left: Duration) {
    let latest = Instant::now() + left + GRAIN;
    loop {
        let late = Instant::now() > latest;
        if read(handler, key).await.is_none() {
            return;
        }
        assert!(!late, "the session can be read more than {GRAIN:?} after its end");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits until this much time has passed by the handler's own clock.
pub(super) async fn pass(handler: &dyn SessionHandler, time: Duration) {
    let witness = fresh_key();
    create(handler, &witness, "witness", time).await;
    expired(handler, &witness, time).await;
}

/// Asks again and again until the answer is yes.
///
/// What never comes runs into the runner's time limit.
pub(super) async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    while !is_so().await {
        tokio::time::sleep(PAUSE).await;
    }
}

/// Collects garbage to the end of the walk. Returns how many records it removed.
pub(super) async fn collect(handler: &dyn SessionHandler, request: &GcRequest) -> u64 {
    let mut removed = 0;
    loop {
        let report = handler.gc(request).await.expect("gc");
        assert!(report.scanned <= request.limit as u64, "gc looked at more than it may");
        assert!(report.removed <= report.scanned, "gc removed what it did not look at");
        removed += report.removed;
        if !report.more {
            return removed;
        }
    }
}
