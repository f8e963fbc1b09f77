//! The handler: each call is one job on a bounded pool of blocking threads.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use session_core::{
    Clock, ErrorKind, GcReport, GcRequest, HandlerInfo, Operation, Result, SessionHandler,
    SessionIndex, SessionKey, SessionLister, SessionLocker, Stored, SystemClock, Version,
    WriteOptions,
};
use tokio::runtime::Handle;

use crate::config::FileConfig;
use crate::error::{self, NAME};
use crate::store::Store;

/// Keeps each session in a file of its own.
///
/// Any number of processes on one host may share a save path. Needs a tokio
/// runtime. Clones share everything. Dropping a call that has begun does not
/// stop it: the session is then in the old state or in the new one.
///
/// ```
/// use std::time::Duration;
/// use session_core::{Bytes, SessionHandler, SessionKey, WriteMode, WriteOptions};
/// use session_file::{FileConfig, FileHandler};
///
/// # async fn example() -> session_core::Result<()> {
/// let handler = FileHandler::connect(FileConfig::new("/var/lib/app/sessions")).await?;
///
/// let key = SessionKey::from_bytes([7; 32]);
/// let options = WriteOptions::new(WriteMode::Create, Duration::from_secs(1440));
/// handler.write(&key, Bytes::from_static(b"data"), &options).await?;
/// assert!(handler.destroy(&key, None).await?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FileHandler {
    store: Arc<Store>,
    info: HandlerInfo,
}

impl FileHandler {
    /// Takes the settings and leaves the disk alone: the save path is opened by
    /// [`open`](SessionHandler::open), or else by the first call that needs it.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) for impossible settings.
    pub fn new(config: FileConfig) -> Result<Self> {
        let config = config.checked()?;
        let mut info = HandlerInfo::new(NAME);
        info.max_payload = Some(config.max_record_bytes);
        Ok(Self { store: Arc::new(Store::new(config, Arc::new(SystemClock))), info })
    }

    /// The same, and opens the save path.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new) and [`open`](SessionHandler::open).
    pub async fn connect(config: FileConfig) -> Result<Self> {
        let handler = Self::new(config)?;
        handler.open().await?;
        Ok(handler)
    }

    /// Sets the clock that lifetimes go by. Call it before anything else: the
    /// handler starts afresh, and clones keep theirs.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        let store = Store::new(self.store.config.clone(), clock);
        Self { store: Arc::new(store), ..self }
    }

    /// Makes a handler around a store that a test has prepared.
    #[cfg(test)]
    pub(crate) fn of(store: Store) -> Self {
        Self { store: Arc::new(store), info: HandlerInfo::new(NAME) }
    }

    /// Runs one job on a thread that may block. Waits for a free place first;
    /// once begun, the job runs to its end whatever happens to this future.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        op: Operation,
        job: impl FnOnce(&Store) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let runtime = Handle::try_current().map_err(|err| {
            error::new(ErrorKind::Unsupported, op, "call this inside of a tokio runtime")
                .with_source(err)
        })?;
        let closed = |_| error::new(ErrorKind::Unavailable, op, "the handler is closed");
        self.store.slots.acquire().await.map_err(closed)?.forget();
        let slot = Slot(Arc::clone(&self.store));
        let done = runtime.spawn_blocking(move || job(&slot.0)).await;
        done.unwrap_or_else(|err| {
            // A job that was dropped before it began has done nothing.
            let message = "the job on the disk was ended, as by a runtime that shuts down";
            let kind = if err.is_panic() { ErrorKind::Internal } else { ErrorKind::Unavailable };
            Err(error::new(kind, op, message).with_indeterminate(err.is_panic()).with_source(err))
        })
    }
}

/// A place among the calls that work on the disk, given back when dropped.
struct Slot(Arc<Store>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.slots.add_permits(1);
    }
}

#[async_trait]
impl SessionHandler for FileHandler {
    fn info(&self) -> &HandlerInfo {
        &self.info
    }

    /// Opens the save path, and makes it with mode 0700 if it is missing.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) if it is a link or no
    /// directory, [`PermissionDenied`](ErrorKind::PermissionDenied) if it belongs
    /// to another user or others may write to it.
    async fn open(&self) -> Result<()> {
        self.run(Operation::Open, Store::open).await
    }

    async fn read(&self, key: &SessionKey) -> Result<Option<Stored>> {
        let key = *key;
        self.run(Operation::Read, move |store| store.read(&key)).await
    }

    async fn write(
        &self,
        key: &SessionKey,
        payload: Bytes,
        options: &WriteOptions,
    ) -> Result<Version> {
        let op = options.mode.operation();
        if payload.len() > self.store.config.max_record_bytes {
            let message = "the session is larger than max_record_bytes; store less, or raise it";
            return Err(error::new(ErrorKind::TooLarge, op, message));
        }
        let (key, options) = (*key, options.clone());
        self.run(op, move |store| store.write(&key, &payload, &options)).await
    }

    async fn touch(&self, key: &SessionKey, idle: Duration) -> Result<bool> {
        let key = *key;
        self.run(Operation::Touch, move |store| store.touch(&key, idle)).await
    }

    async fn destroy(&self, key: &SessionKey, only_at: Option<&Version>) -> Result<bool> {
        let (key, only_at) = (*key, only_at.cloned());
        self.run(Operation::Destroy, move |store| store.destroy(&key, only_at.as_ref())).await
    }

    async fn gc(&self, request: &GcRequest) -> Result<GcReport> {
        let request = request.clone();
        self.run(Operation::Gc, move |store| store.sweep(&request)).await
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

/// The whole contract once more, on a file system that refuses rename flags.
#[cfg(test)]
mod without_rename_flags {
    use std::cell::RefCell;

    use tempfile::TempDir;

    use super::*;
    use crate::config::Durability;

    thread_local! {
        /// The directories of the tests on this thread, which ends with its test.
        static DIRECTORIES: RefCell<Vec<TempDir>> = const { RefCell::new(Vec::new()) };
    }

    async fn handler() -> FileHandler {
        let dir = TempDir::new().unwrap();
        let config = FileConfig::new(dir.path()).with_durability(Durability::Process);
        DIRECTORIES.with_borrow_mut(|directories| directories.push(dir));
        FileHandler::of(Store::new(config, Arc::new(SystemClock)).without_rename_flags())
    }

    session_core::conformance! { handler() }
}
