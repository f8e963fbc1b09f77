//! The handler: each call is one step under the mutex of its key's shard.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::error::{NAME, named};
use super::record::Record;
use super::store::Store;
use crate::{
    Clock, Error, GcReport, GcRequest, HandlerInfo, Operation, Result, SessionHandler,
    SessionIndex, SessionKey, SessionLister, SessionLocker, Stored, SystemClock, Timestamp,
    Version, WriteMode, WriteOptions,
};

static INFO: HandlerInfo = HandlerInfo::new(NAME);

/// Keeps sessions in the memory of this process.
///
/// The reference implementation of [`SessionHandler`], with every capability:
/// for tests, for development, and for a single process that may forget its
/// sessions when it ends. It has no limit of its own: expired sessions take up
/// memory until [`gc`](SessionHandler::gc) removes them.
///
/// Clones share one store.
///
/// ```
/// use std::time::Duration;
/// use session_core::{Bytes, MemoryHandler, SessionHandler, SessionKey, WriteMode, WriteOptions};
///
/// # async fn example() -> session_core::Result<()> {
/// let handler = MemoryHandler::new();
/// let key = SessionKey::from_bytes([7; 32]);
/// let options = WriteOptions::new(WriteMode::Create, Duration::from_secs(1440));
/// handler.write(&key, Bytes::from_static(b"data"), &options).await?;
///
/// let clone = handler.clone();
/// assert!(clone.destroy(&key, None).await?);
/// assert!(handler.read(&key).await?.is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MemoryHandler {
    pub(super) store: Arc<Store>,
    clock: Arc<dyn Clock>,
}

impl MemoryHandler {
    /// Makes an empty store that goes by the system's clock.
    #[must_use]
    pub fn new() -> Self {
        Self { store: Arc::new(Store::new()), clock: Arc::new(SystemClock) }
    }

    /// Sets the clock. Clones that were made before keep theirs.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl Default for MemoryHandler {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryHandler").field("clock", &self.clock).finish_non_exhaustive()
    }
}

#[async_trait]
impl SessionHandler for MemoryHandler {
    fn info(&self) -> &HandlerInfo {
        &INFO
    }

    async fn read(&self, key: &SessionKey) -> Result<Option<Stored>> {
        let now = self.now();
        Ok(self.store.shard(key).live(key, now).map(|record| record.stored(now)))
    }

    async fn write(
        &self,
        key: &SessionKey,
        payload: Bytes,
        options: &WriteOptions,
    ) -> Result<Version> {
        // The clock is read under the lock, so that waiting for it cannot make
        // an expired record look alive.
        let mut shard = self.store.shard(key);
        let now = self.now();
        if options.fence.is_some_and(|fence| !shard.is_granted(key, fence)) {
            return Err(named(Error::lock_lost(options.mode.operation())));
        }
        match (&options.mode, shard.live(key, now)) {
            (WriteMode::Create, None) | (WriteMode::Replace, Some(_)) => {}
            (WriteMode::Create, Some(_)) => {
                return Err(named(Error::already_exists()));
            }
            (WriteMode::Replace | WriteMode::IfVersion(_), None) => {
                return Err(named(Error::gone(Operation::Write)));
            }
            (WriteMode::IfVersion(version), Some(record)) => {
                if !record.is_at(version) {
                    return Err(named(Error::conflict(Operation::Write)));
                }
            }
        }
        let version = shard.next();
        let record = Record::new(payload, version, options, now);
        self.store.replace(&mut shard, key, Some(record));
        Ok(Version::counter(version))
    }

    async fn touch(&self, key: &SessionKey, idle: Duration) -> Result<bool> {
        let mut shard = self.store.shard(key);
        let now = self.now();
        let record = shard.live_mut(key, now);
        Ok(record.is_some_and(|record| record.touch(idle, now)))
    }

    async fn destroy(&self, key: &SessionKey, only_at: Option<&Version>) -> Result<bool> {
        let mut shard = self.store.shard(key);
        let Some(record) = shard.live(key, self.now()) else { return Ok(false) };
        if only_at.is_some_and(|version| !record.is_at(version)) {
            return Err(named(Error::conflict(Operation::Destroy)));
        }
        self.store.replace(&mut shard, key, None);
        Ok(true)
    }

    async fn gc(&self, request: &GcRequest) -> Result<GcReport> {
        Ok(self.sweep(request))
    }

    fn locker(&self) -> Option<&dyn SessionLocker> {
        Some(self)
    }

    fn lister(&self) -> Option<&dyn SessionLister> {
        Some(self)
    }

    fn index(&self) -> Option<&dyn SessionIndex> {
        Some(self)
    }
}
