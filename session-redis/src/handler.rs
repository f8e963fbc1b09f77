//! The handler: what session-core asks for, and who does it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use session_core::{
    Clock, ErrorKind, GcReport, GcRequest, HandlerInfo, Operation, Result, SessionHandler,
    SessionIndex, SessionKey, SessionLister, SessionLocker, Stored, Version, WriteOptions,
};

use crate::client::Client;
use crate::config::RedisConfig;
use crate::error;
use crate::store::Store;

/// Keeps each session under a key of its own, in Redis or Valkey.
///
/// Any number of processes may share a prefix. All calls share one connection,
/// which is made when it is needed and made anew when it is lost. Needs a tokio
/// runtime with I/O and time. Clones share everything. Dropping a call that has
/// begun may or may not stop it: the session is in the old state or in the new one.
///
/// ```no_run
/// use std::time::Duration;
/// use session_core::{Bytes, SessionHandler, SessionKey, WriteMode, WriteOptions};
/// use session_redis::{RedisConfig, RedisHandler};
///
/// # async fn example() -> session_core::Result<()> {
/// let handler = RedisHandler::new(RedisConfig::new("redis://127.0.0.1:6379/1"))?;
/// handler.open().await?;
///
/// let key = SessionKey::from_bytes([7; 32]);
/// let options = WriteOptions::new(WriteMode::Create, Duration::from_secs(1440));
/// handler.write(&key, Bytes::from_static(b"data"), &options).await?;
/// assert!(handler.destroy(&key, None).await?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisHandler {
    pub(crate) store: Arc<Store>,
}

impl RedisHandler {
    /// Takes the settings and leaves the network alone: the connection is made by
    /// [`open`](SessionHandler::open), or else by the first call that needs it.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) for impossible settings and
    /// for certificates that cannot be read.
    #[expect(clippy::needless_pass_by_value, reason = "like the handlers of the other engines")]
    pub fn new(config: RedisConfig) -> Result<Self> {
        let (location, keys) = config.checked()?;
        let client = Client::new(&config, &location)?;
        Ok(Self { store: Arc::new(Store::new(client, keys, &config)?) })
    }

    /// The same, and connects.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new) and [`open`](SessionHandler::open).
    pub async fn connect(config: RedisConfig) -> Result<Self> {
        let handler = Self::new(config)?;
        handler.open().await?;
        Ok(handler)
    }

    /// Uses the client that an application has already, with its login, its
    /// certificates and its settings of sockets, such as keepalive. What `config` says
    /// about the server must be left out. The connections are the handler's own and speak
    /// RESP3, in which the driver tells when one ends.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) for impossible settings.
    #[expect(clippy::needless_pass_by_value, reason = "like the handlers of the other engines")]
    pub fn from_client(client: redis::Client, config: RedisConfig) -> Result<Self> {
        config.refuse_connecting()?;
        let (_, keys) = config.checked()?;
        let client = Client::from_driver(client, &config)?;
        Ok(Self { store: Arc::new(Store::new(client, keys, &config)?) })
    }

    /// Sets the clock used to report ages, idle times and remaining lifetimes.
    /// Lifetimes themselves follow the server's clock. Clones keep theirs.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { store: Arc::new(self.store.with_clock(clock)) }
    }

    /// Looks at the server's settings and says what endangers sessions there:
    /// an eviction policy that removes sessions while they live. Empty if all is
    /// well, or if the server does not tell.
    ///
    /// [`open`](SessionHandler::open) does this too, and writes warnings to the
    /// log if the feature `tracing` is enabled.
    ///
    /// # Errors
    ///
    /// None for a server that refuses to tell; else those of any call.
    pub async fn warnings(&self) -> Result<Vec<String>> {
        self.store.warnings(Operation::Open).await
    }
}

#[async_trait]
impl SessionHandler for RedisHandler {
    fn info(&self) -> &HandlerInfo {
        &self.store.info
    }

    /// Connects, logs in, and finds out what the server can do.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable) if the server cannot be reached
    /// within the timeout, [`PermissionDenied`](ErrorKind::PermissionDenied) if
    /// it refuses the login or the keys.
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
        if payload.len() > self.store.max_record_bytes {
            let message = "the session is larger than max_record_bytes; store less, or raise it";
            return Err(error::new(ErrorKind::TooLarge, options.mode.operation(), message));
        }
        self.store.write(key, &payload, options).await
    }

    async fn touch(&self, key: &SessionKey, idle: Duration) -> Result<bool> {
        self.store.touch(key, idle).await
    }

    async fn destroy(&self, key: &SessionKey, only_at: Option<&Version>) -> Result<bool> {
        self.store.destroy(key, only_at).await
    }

    /// Has nothing to do: the server removes what has expired.
    async fn gc(&self, _: &GcRequest) -> Result<GcReport> {
        Ok(GcReport::default())
    }

    /// Lets go of the connections. A later call makes new ones.
    async fn close(&self) -> Result<()> {
        self.store.client.close();
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

impl fmt::Debug for RedisHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Store { client, keys, max_record_bytes, .. } = &*self.store;
        f.debug_struct("RedisHandler")
            .field("client", client)
            .field("keys", keys)
            .field("max_record_bytes", max_record_bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_is_shown() {
        let config = RedisConfig::new("redis://ann:secret@h/1");
        let handler = RedisHandler::new(config).unwrap();
        assert!(!format!("{handler:?}").contains("secret"));
    }
}
