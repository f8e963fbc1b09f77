//! What the operations share, and reading.

use std::fmt;
use std::time::Instant;

use mongodb::Database;
use mongodb::options::ConnectionString;
use session_core::{Operation, OsRandom, Random, Result, SessionKey, Stored, Version};
use tokio::sync::OnceCell;

use crate::client::{self, Collections};
use crate::clock::ServerClock;
use crate::config::MongoConfig;
use crate::error::{self, NAME};
use crate::reply::{self, first, only_batch};
use crate::{record, uri};

pub(crate) struct Store {
    pub(crate) config: MongoConfig,
    uri: Option<ConnectionString>,
    collections: OnceCell<Collections>,
    pub(crate) clock: ServerClock,
}

/// What a document says that decides about a write.
pub(crate) struct State {
    pub(crate) live: bool,
    pub(crate) pointer: bool,
    pub(crate) fence: i64,
    pub(crate) version: Option<i64>,
}

impl Store {
    /// Checks the settings and reads the URI. Nothing is looked up.
    pub(crate) fn new(config: MongoConfig) -> Result<Self> {
        let config = config.checked()?;
        let uri = Some(uri::parse(&config)?);
        Ok(Self { config, uri, collections: OnceCell::new(), clock: ServerClock::new() })
    }

    /// Takes a database that the application has connected to.
    pub(crate) fn of(database: &Database, config: MongoConfig) -> Result<Self> {
        config.refuse_connecting()?;
        let config = config.checked()?;
        client::refuse_unacknowledged(database.write_concern())?;
        let collections = client::collections(database, &config, None);
        let collections = OnceCell::new_with(Some(collections));
        Ok(Self { config, uri: None, collections, clock: ServerClock::new() })
    }

    /// Returns the collections, connected when they are first asked for.
    pub(crate) async fn collections(&self) -> Result<&Collections> {
        if let Some(collections) = self.collections.get() {
            return Ok(collections);
        }
        let connect = async || {
            let uri = self.uri.clone().unwrap_or_default();
            client::connect(&self.config, uri).await
        };
        Box::pin(self.collections.get_or_try_init(connect)).await
    }

    /// Reads a live session.
    pub(crate) async fn read(&self, key: &SessionKey) -> Result<Option<Stored>> {
        let op = Operation::Read;
        self.call(op, |to| async move {
            let sent = Instant::now();
            let find = to.sessions.find(record::by_key(key));
            let cursor = find.projection(record::payload_fields()).limit(-1).batch().await;
            let Some(batch) = only_batch(op, cursor).await? else { return Ok(None) };
            let Some(fields) = first(op, &batch)? else { return Ok(None) };
            self.clock.learn(sent, fields.millis("now")?);
            let Some(remaining) = fields.remaining()? else { return Ok(None) };
            let version = Version::counter(fields.version()?);
            let payload = fields.bytes("data")?.and_then(|data| reply::place(&batch, data));
            let payload = payload.ok_or_else(|| error::bad(op))?;
            let stored = Stored::new(reply::share(batch, payload), version);
            Ok(Some(stored.with_remaining(remaining)))
        })
        .await
    }

    /// Looks at what decides about a write.
    pub(crate) async fn state(
        &self,
        op: Operation,
        to: &Collections,
        key: &SessionKey,
    ) -> Result<Option<State>> {
        let find = to.primary.find(record::by_key(key));
        let cursor = find.projection(record::state_fields()).limit(-1).batch().await;
        let Some(batch) = only_batch(op, cursor).await? else { return Ok(None) };
        let Some(fields) = first(op, &batch)? else { return Ok(None) };
        Ok(Some(State {
            live: fields.remaining()?.is_some(),
            pointer: fields.is_pointer()?,
            fence: fields.number("fence")?.unwrap_or(i64::MIN),
            version: fields.number("v")?,
        }))
    }

    /// Ends the client, if it is ours.
    pub(crate) async fn close(&self) {
        let client = self.collections.get().and_then(|collections| collections.client.clone());
        if let Some(client) = client {
            // Ends by itself what does not end in time.
            let _ = tokio::time::timeout(self.config.timeout, client.shutdown()).await;
        }
    }
}

/// Hides everything: the URI may hold a password.
impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Draws the version of a write, so that no state of a key ever has the name
/// that another had, even if it is destroyed and created again.
pub(crate) fn draw_version() -> Result<i64> {
    let number = OsRandom.number().map_err(|err| err.with_backend(NAME))?;
    Ok((number >> 1).cast_signed())
}
