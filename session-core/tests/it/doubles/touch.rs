//! Touches that create, shorten, rewrite and go too far.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use session_core::{
    Bytes, ErrorKind, MemoryHandler, Result, SessionHandler, SessionKey, Stored, Version,
    WriteMode, WriteOptions, async_trait,
};
use tokio::task::yield_now;

use super::{Flaw, fails};

/// Creates what it does not find.
#[derive(Debug, Default)]
struct Creates;

#[async_trait]
impl Flaw for Creates {
    async fn touch(&self, right: &MemoryHandler, key: &SessionKey, idle: Duration) -> Result<bool> {
        if right.touch(key, idle).await? {
            return Ok(true);
        }
        let create = WriteOptions::new(WriteMode::Create, idle);
        right.write(key, Bytes::new(), &create).await.map(|_| false)
    }
}

#[test]
fn a_touch_that_creates_is_noticed() {
    fails::<Creates>(&[
        "touching_a_missing_session_creates_nothing",
        "a_destroyed_session_is_gone",
        "a_racing_touch_does_not_undo_a_destruction",
    ]);
}

/// Sets the end of the lifetime, even if that is earlier.
#[derive(Debug, Default)]
struct Shortens {
    ends: Mutex<HashMap<SessionKey, Instant>>,
}

#[async_trait]
impl Flaw for Shortens {
    async fn read(&self, right: &MemoryHandler, key: &SessionKey) -> Result<Option<Stored>> {
        let end = self.ends.lock().unwrap().get(key).copied();
        if end.is_some_and(|end| end <= Instant::now()) {
            right.destroy(key, None).await?;
        }
        right.read(key).await
    }

    async fn touch(&self, right: &MemoryHandler, key: &SessionKey, idle: Duration) -> Result<bool> {
        if let Some(end) = Instant::now().checked_add(idle) {
            self.ends.lock().unwrap().insert(*key, end);
        }
        right.touch(key, idle).await
    }
}

#[test]
fn a_touch_that_shortens_is_noticed() {
    fails::<Shortens>(&[
        "a_touch_never_shortens_a_lifetime",
        "a_touch_for_no_time_leaves_the_lifetime_alone",
    ]);
}

/// Reads the payload and writes it again.
#[derive(Debug, Default)]
struct Rewrites;

#[async_trait]
impl Flaw for Rewrites {
    async fn touch(&self, right: &MemoryHandler, key: &SessionKey, idle: Duration) -> Result<bool> {
        let Some(found) = right.read(key).await? else { return Ok(false) };
        yield_now().await;
        let replace = WriteOptions::new(WriteMode::Replace, idle);
        match right.write(key, found.payload, &replace).await {
            Ok(_) => Ok(true),
            Err(err) if err.kind() == ErrorKind::Gone => Ok(false),
            Err(err) => Err(err),
        }
    }
}

#[test]
fn a_touch_that_writes_is_noticed() {
    fails::<Rewrites>(&[
        "a_touch_changes_neither_version_nor_payload",
        "a_touch_never_shortens_a_lifetime",
        "a_touch_never_passes_the_absolute_deadline",
        "a_racing_touch_does_not_undo_a_write",
        "the_index_follows_writes",
    ]);
}

/// Forgets the absolute deadline.
#[derive(Debug, Default)]
struct GoesTooFar;

#[async_trait]
impl Flaw for GoesTooFar {
    async fn write(
        &self,
        right: &MemoryHandler,
        key: &SessionKey,
        payload: Bytes,
        options: &WriteOptions,
    ) -> Result<Version> {
        let mut options = options.clone();
        options.idle = options.lifetime();
        options.absolute = None;
        right.write(key, payload, &options).await
    }
}

#[test]
fn a_touch_past_the_absolute_deadline_is_noticed() {
    fails::<GoesTooFar>(&["a_touch_never_passes_the_absolute_deadline"]);
}
