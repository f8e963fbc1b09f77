//! The handler: each call is one statement on one connection.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use session_core::{
    ErrorKind, GcReport, GcRequest, HandlerInfo, Result, SessionHandler, SessionIndex, SessionKey,
    SessionLister, SessionLocker, Stored, Version, WriteOptions,
};
use sqlx::mysql::MySqlPool;

use crate::client::Client;
use crate::config::MysqlConfig;
use crate::error::{self, NAME};
use crate::pool::Pool;
use crate::store::Store;

/// Keeps each session in a row of a table.
///
/// Any number of processes may share the tables. Needs a tokio runtime with
/// time and IO. Clones share everything.
///
/// ```no_run
/// use std::time::Duration;
/// use session_core::{Bytes, SessionHandler, SessionKey, WriteMode, WriteOptions};
/// use session_mysql::{MysqlConfig, MysqlHandler};
///
/// # async fn example() -> session_core::Result<()> {
/// // Makes the tables if they are missing.
/// let config = MysqlConfig::new("mysql://app:secret@127.0.0.1/app");
/// let handler = MysqlHandler::connect(config).await?;
///
/// let key = SessionKey::from_bytes([7; 32]);
/// let options = WriteOptions::new(WriteMode::Create, Duration::from_secs(1440));
/// handler.write(&key, Bytes::from_static(b"data"), &options).await?;
/// assert!(handler.destroy(&key, None).await?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MysqlHandler {
    pub(crate) store: Arc<Store>,
    info: HandlerInfo,
}

impl MysqlHandler {
    /// Takes the settings and leaves the server alone: it is connected to by
    /// [`open`](SessionHandler::open), or else by the first call that needs it.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) for impossible
    /// settings, for a URL that cannot be read, and for none.
    pub fn new(config: MysqlConfig) -> Result<Self> {
        let MysqlConfig { timeout, max_connections, max_lifetime, .. } = config;
        let url = config.url.as_deref().ok_or_else(|| {
            error::invalid("name a server, as in mysql://user:password@host/database")
        })?;
        let pool = Pool::new(url, max_connections, timeout, max_lifetime)?;
        Store::new(Client::own(pool, timeout), config).map(Self::of)
    }

    /// The same, and connects.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new) and [`open`](SessionHandler::open).
    pub async fn connect(config: MysqlConfig) -> Result<Self> {
        let handler = Self::new(config)?;
        handler.open().await?;
        Ok(handler)
    }

    /// Uses a pool that the application has already. `url`, `max_connections`
    /// and `max_lifetime` must be left out of the settings.
    ///
    /// sqlx's pool asks the server whenever a connection is taken (unless
    /// `test_before_acquire(false)`) and when it is given back: two round trips
    /// more for each call, about twice the time. The pool must leave
    /// `autocommit` on; what else it sets for its connections is its own affair.
    /// [`close`](SessionHandler::close) leaves it open.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) for impossible
    /// settings, and for those that the pool decides.
    pub fn from_pool(pool: MySqlPool, config: MysqlConfig) -> Result<Self> {
        config.refuse_connecting()?;
        Store::new(Client::theirs(pool, config.timeout), config).map(Self::of)
    }

    fn of(store: Store) -> Self {
        let mut info = HandlerInfo::new(NAME);
        info.max_payload = Some(store.config.max_record_bytes);
        Self { store: Arc::new(store), info }
    }
}

#[async_trait]
impl SessionHandler for MysqlHandler {
    fn info(&self) -> &HandlerInfo {
        &self.info
    }

    /// Connects, makes the tables that are missing unless the settings forbid
    /// it, and checks that they are as they should be.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) if a table is
    /// missing or is not as it should be; the message says what is wrong.
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

    /// Ends the connections. Further calls fail.
    async fn close(&self) -> Result<()> {
        self.store.client.close().await;
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
