//! The handler: each call is one command on one document.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use mongodb::Database;
use session_core::{
    ErrorKind, GcReport, GcRequest, HandlerInfo, Result, SessionHandler, SessionIndex, SessionKey,
    SessionLister, SessionLocker, Stored, Version, WriteOptions,
};

use crate::config::MongoConfig;
use crate::error::{self, NAME};
use crate::store::Store;

/// Keeps each session in a document of its own.
///
/// Any number of processes may share a collection. Needs a tokio runtime.
/// Clones share everything. Dropping a call that was sent does not stop it: the
/// session is then in the old state or in the new one, and the connection is
/// closed, so that no reply reaches another call.
///
/// ```no_run
/// use std::time::Duration;
/// use session_core::{Bytes, SessionHandler, SessionKey, WriteMode, WriteOptions};
/// use session_mongo::{MongoConfig, MongoHandler};
///
/// # async fn example() -> session_core::Result<()> {
/// let config = MongoConfig::new("mongodb://127.0.0.1:27017/app");
/// let handler = MongoHandler::connect(config).await?;
///
/// let key = SessionKey::from_bytes([7; 32]);
/// let options = WriteOptions::new(WriteMode::Create, Duration::from_secs(1440));
/// handler.write(&key, Bytes::from_static(b"data"), &options).await?;
/// assert!(handler.destroy(&key, None).await?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MongoHandler {
    pub(crate) store: Arc<Store>,
    info: HandlerInfo,
}

impl MongoHandler {
    /// Takes the settings and leaves the network alone: the first call connects.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) for impossible
    /// settings, for a URI that the driver refuses, and for none.
    pub fn new(config: MongoConfig) -> Result<Self> {
        Store::new(config).map(Self::of)
    }

    /// The same, and connects.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new) and [`open`](SessionHandler::open).
    pub async fn connect(config: MongoConfig) -> Result<Self> {
        let handler = Self::new(config)?;
        handler.open().await?;
        Ok(handler)
    }

    /// Takes a database that the application has a client for. `uri` and
    /// `database` must be left out of the settings.
    ///
    /// The client's own settings hold: its pool, its timeouts, and what it says of its
    /// write concern. [`close`](SessionHandler::close) leaves it open.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) for impossible
    /// settings, for those that the database decides, and for a client that does not ask for replies to its writes.
    pub fn from_database(database: &Database, config: MongoConfig) -> Result<Self> {
        Store::of(database, config).map(Self::of)
    }

    fn of(store: Store) -> Self {
        let mut info = HandlerInfo::new(NAME);
        info.max_payload = Some(store.config.max_record_bytes);
        Self { store: Arc::new(store), info }
    }
}

#[async_trait]
impl SessionHandler for MongoHandler {
    fn info(&self) -> &HandlerInfo {
        &self.info
    }

    /// Connects, makes missing indexes, and checks what is there.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) if the
    /// collection holds something else than sessions, or an index that would end
    /// sessions before their time, or lacks one that may not be made.
    async fn open(&self) -> Result<()> {
        self.store.open().await
    }

    async fn read(&self, key: &SessionKey) -> Result<Option<Stored>> {
        self.store.read(key).await
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
        self.store.write(key, &payload, options).await
    }

    async fn touch(&self, key: &SessionKey, idle: Duration) -> Result<bool> {
        self.store.touch(key, idle).await
    }

    async fn destroy(&self, key: &SessionKey, only_at: Option<&Version>) -> Result<bool> {
        self.store.destroy(key, only_at).await
    }

    async fn gc(&self, request: &GcRequest) -> Result<GcReport> {
        self.store.sweep(request).await
    }

    /// Shuts the client down if it is ours. Further calls fail.
    async fn close(&self) -> Result<()> {
        self.store.close().await;
        Ok(())
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
