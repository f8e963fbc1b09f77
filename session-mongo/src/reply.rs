//! What the server replies: batches of documents, read without being copied.

use std::future::poll_fn;
use std::ops::Range;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use mongodb::bson::{RawBsonRef, RawDocument};
use mongodb::error::Result as DriverResult;
use mongodb::raw_batch_cursor::{RawBatch, RawBatchCursor};
use session_core::{Error, Operation, Owner, Result, SessionKey, SessionMeta};

use crate::error;

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
fn documents(op: Operation, batch: &RawBatch) -> Result<impl Iterator<Item = Result<Fields<'_>>>> {
    let slices = batch.doc_slices().map_err(|err| error::driver(op, &err))?;
    Ok(slices.into_iter().map(move |value| {
        let document = value.ok().and_then(|value| value.as_document());
        document.map(|document| Fields::new(op, document)).ok_or_else(|| error::bad(op))
    }))
}

/// Returns the first document of a batch.
pub(crate) fn first(op: Operation, batch: &RawBatch) -> Result<Option<Fields<'_>>> {
    documents(op, batch)?.next().transpose()
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
            found.extend(visit(fields?)?);
        }
    }
    Ok(found)
}

/// A document of a reply, whose fields are read without being copied.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    op: Operation,
    pub(crate) document: &'a RawDocument,
}

impl<'a> Fields<'a> {
    pub(crate) const fn new(op: Operation, document: &'a RawDocument) -> Self {
        Self { op, document }
    }

    fn bad(&self) -> Error {
        error::bad(self.op)
    }

    fn field(&self, name: &str) -> Result<Option<RawBsonRef<'a>>> {
        self.document.get(name).map_err(|_| self.bad())
    }

    /// Returns a date, in milliseconds since 1970.
    pub(crate) fn millis(&self, name: &str) -> Result<i64> {
        let date = self.field(name)?.and_then(|value| value.as_datetime());
        Ok(date.ok_or_else(|| self.bad())?.timestamp_millis())
    }

    /// Returns a number, or `None` if the field is missing.
    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>> {
        let Some(value) = self.field(name)? else { return Ok(None) };
        value.as_i64().map(Some).ok_or_else(|| self.bad())
    }

    pub(crate) fn version(&self) -> Result<u64> {
        Ok(self.number("v")?.ok_or_else(|| self.bad())?.cast_unsigned())
    }

    /// Returns the bytes of a field, or `None` if it is missing.
    pub(crate) fn bytes(&self, name: &str) -> Result<Option<&'a [u8]>> {
        let Some(value) = self.field(name)? else { return Ok(None) };
        value.as_binary().map(|binary| Some(binary.bytes)).ok_or_else(|| self.bad())
    }

    pub(crate) fn key(&self) -> Result<SessionKey> {
        let bytes = self.bytes("_id")?.and_then(|bytes| bytes.try_into().ok());
        bytes.map(SessionKey::from_bytes).ok_or_else(|| self.bad())
    }

    /// Returns how long ago a moment was by the server's clock.
    fn since(&self, name: &str) -> Result<Duration> {
        let passed = self.millis("now")?.saturating_sub(self.millis(name)?);
        Ok(Duration::from_millis(u64::try_from(passed).unwrap_or(0)))
    }

    /// Returns what is left of the lifetime, or `None` if it is over.
    pub(crate) fn remaining(&self) -> Result<Option<Duration>> {
        let left = self.millis("exp")?.saturating_sub(self.millis("now")?);
        Ok(u64::try_from(left).ok().filter(|left| *left > 0).map(Duration::from_millis))
    }

    pub(crate) fn is_pointer(&self) -> Result<bool> {
        Ok(self.field("ptr")?.is_some())
    }

    pub(crate) fn has_deadline(&self) -> bool {
        self.millis("exp").is_ok()
    }

    /// Returns how long ago the session began.
    pub(crate) fn age(&self) -> Result<Duration> {
        self.since("created")
    }

    /// Returns what a listing shows, or `None` if the session has just expired.
    pub(crate) fn meta(&self) -> Result<Option<SessionMeta>> {
        let Some(remaining) = self.remaining()? else { return Ok(None) };
        let owner = self.bytes("owner")?.map(|name| {
            let name = std::str::from_utf8(name).ok();
            name.and_then(|name| Owner::new(name).ok()).ok_or_else(|| self.bad())
        });
        let meta = SessionMeta::new(self.key()?, self.age()?, self.since("touched")?, remaining);
        Ok(Some(meta.with_owner(owner.transpose()?)))
    }
}

/// Keeps a reply alive for the payload in it.
struct Reply(RawBatch);

impl AsRef<[u8]> for Reply {
    fn as_ref(&self) -> &[u8] {
        self.0.as_raw_document().as_bytes()
    }
}

/// Returns the part `at` of a reply as a payload that shares the reply's memory.
pub(crate) fn share(batch: RawBatch, at: Range<usize>) -> Bytes {
    Bytes::from_owner(Reply(batch)).slice(at)
}

/// Returns where in a reply some of its bytes are.
pub(crate) fn place(batch: &RawBatch, part: &[u8]) -> Option<Range<usize>> {
    let whole = batch.as_raw_document().as_bytes();
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let end = start.checked_add(part.len())?;
    (end <= whole.len()).then_some(start..end)
}
