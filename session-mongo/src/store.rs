//! The collections, and calls to them: each within its deadline, and tried
//! again where that is safe.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::time::{Duration, Instant};

use futures_core::Stream;
use mongodb::bson::{Document, RawDocumentBuf};
use mongodb::error::Result as DriverResult;
use mongodb::options::ConnectionString;
use mongodb::raw_batch_cursor::{RawBatch, RawBatchCursor};
use mongodb::{Client, Collection, Database};
use session_core::{ErrorKind, Operation, OsRandom, Random, Result, SessionKey, Stored, Version};
use tokio::sync::OnceCell;

use crate::client;
use crate::clock::ServerClock;
use crate::config::MongoConfig;
use crate::error::{self, NAME};
use crate::record::{self, Fields};

/// The driver's handles of one store.
pub(crate) struct Collections {
    pub(crate) sessions: Collection<RawDocumentBuf>,
    /// The same, for reads that decide about writes: never from a server that
    /// may lag behind, whatever the URI prefers.
    pub(crate) primary: Collection<RawDocumentBuf>,
    pub(crate) locks: Collection<RawDocumentBuf>,
    /// The client, if it is ours to shut down.
    pub(crate) client: Option<Client>,
}

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

/// Whether a call may be made again when it may have been executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It must not.
    Never,
    /// It names the version that it makes, and changes nothing but the one that
    /// it names. Executed twice, or late, it does nothing.
    AtVersion,
}

/// How often a call is made whose earlier attempts failed, at the most.
const ATTEMPTS: u32 = 4;
/// The pause before the second attempt, at the most. Doubles.
const PAUSE: Duration = Duration::from_millis(20);

impl Store {
    /// Checks the settings and reads the URI. Nothing is looked up.
    pub(crate) fn new(config: MongoConfig) -> Result<Self> {
        let config = config.checked()?;
        let uri = Some(client::parse(&config)?);
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

    async fn collections(&self) -> Result<&Collections> {
        if let Some(collections) = self.collections.get() {
            return Ok(collections);
        }
        let connect = async || {
            let uri = self.uri.clone().unwrap_or_default();
            client::connect(&self.config, uri).await
        };
        Box::pin(self.collections.get_or_try_init(connect)).await
    }

    /// Calls the server: connects if need be, keeps the deadline, and repeats
    /// what it refused to begin.
    pub(crate) async fn call<'a, T, F>(
        &'a self,
        op: Operation,
        attempt: impl Fn(&'a Collections) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        self.call_again(op, Repeat::Never, |to, _| attempt(to)).await
    }

    /// The same, and repeats what may have been executed where that is safe.
    /// Each attempt is told whether an earlier one may have been.
    pub(crate) async fn call_again<'a, T, F>(
        &'a self,
        op: Operation,
        repeat: Repeat,
        attempt: impl Fn(&'a Collections, bool) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let limit = self.config.timeout;
        let begin = Instant::now();
        let call = async {
            let collections = self.collections().await?;
            let (mut made, mut in_doubt) = (1, false);
            loop {
                let err = match attempt(collections, in_doubt).await {
                    Ok(done) => return Ok(done),
                    Err(err) => err,
                };
                in_doubt |= err.is_indeterminate();
                let goes_on = made < ATTEMPTS
                    && err.kind() == ErrorKind::Unavailable
                    && (!in_doubt || repeat == Repeat::AtVersion)
                    // Not so late that this answer would become "no answer".
                    && begin.elapsed() < limit / 2;
                if !goes_on {
                    return Err(err.with_indeterminate(in_doubt));
                }
                tokio::time::sleep(jitter(PAUSE * 2_u32.pow(made - 1))).await;
                made += 1;
            }
        };
        match tokio::time::timeout(limit, call).await {
            Ok(done) => done,
            Err(_) => Err(error::late(op, limit)),
        }
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
            let payload = fields.bytes("data")?.and_then(|data| record::place(&batch, data));
            let payload = payload.ok_or_else(|| error::bad(op))?;
            let stored = Stored::new(record::share(batch, payload), version);
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

/// Returns a random part of a pause, so that callers do not come back together.
fn jitter(pause: Duration) -> Duration {
    let mut byte = [0];
    // Without a generator all wait the whole pause.
    let part = OsRandom.fill(&mut byte).map_or(256, |()| u32::from(byte[0]) + 1);
    pause * part / 256
}

/// Returns the one batch of a reply that comes in one, or `None` if it is empty.
pub(crate) async fn only_batch(
    op: Operation,
    cursor: DriverResult<RawBatchCursor>,
) -> Result<Option<RawBatch>> {
    let mut cursor = cursor.map_err(|err| error::driver(op, &err))?;
    let batch = poll_fn(|cx| Pin::new(&mut cursor).poll_next(cx)).await;
    batch.transpose().map_err(|err| error::driver(op, &err))
}

/// Returns the documents of a batch.
pub(crate) fn documents(op: Operation, batch: &RawBatch) -> Result<Vec<Fields<'_>>> {
    let slices = batch.doc_slices().map_err(|err| error::driver(op, &err))?;
    let fields = slices.into_iter().map(|value| {
        let document = value.ok().and_then(|value| value.as_document());
        document.map(|document| Fields::new(op, document)).ok_or_else(|| error::bad(op))
    });
    fields.collect()
}

/// Returns the first document of a batch.
fn first(op: Operation, batch: &RawBatch) -> Result<Option<Fields<'_>>> {
    let slices = batch.doc_slices().map_err(|err| error::driver(op, &err))?;
    let Some(value) = slices.into_iter().next() else { return Ok(None) };
    let document = value.ok().and_then(|value| value.as_document());
    document.map(|document| Some(Fields::new(op, document))).ok_or_else(|| error::bad(op))
}

/// Collects all documents of a query whose reply may come in several batches.
pub(crate) async fn all<T>(
    op: Operation,
    cursor: DriverResult<RawBatchCursor>,
    mut visit: impl FnMut(Fields<'_>) -> Result<Option<T>>,
) -> Result<Vec<T>> {
    let mut cursor = cursor.map_err(|err| error::driver(op, &err))?;
    let mut found = Vec::new();
    while let Some(batch) = poll_fn(|cx| Pin::new(&mut cursor).poll_next(cx)).await {
        let batch = batch.map_err(|err| error::driver(op, &err))?;
        for fields in documents(op, &batch)? {
            found.extend(visit(fields)?);
        }
    }
    Ok(found)
}

/// Adds to a filter.
pub(crate) fn and(mut filter: Document, more: Document) -> Document {
    filter.extend(more);
    filter
}
