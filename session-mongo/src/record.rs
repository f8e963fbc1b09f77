//! The documents that sessions are, and everything that touches a BSON type.
//!
//! Keeps to what versions 2 and 3 of `bson` have in common: the application
//! may choose.

use std::time::Duration;

use bytes::Bytes;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, RawDocument, doc};
use mongodb::raw_batch_cursor::RawBatch;
use session_core::{Operation, Owner, Result, SessionKey, SessionMeta};

use crate::error;

/// What the server's clock says, in an expression.
pub(crate) const NOW: &str = "$$NOW";

/// The longest lifetime, in milliseconds: some 6,300 years, so that dates stay
/// within what the server's tools can print.
const FOREVER: i64 = 200_000_000_000_000;

/// Returns a duration in milliseconds. Parts of one count as a whole one, so
/// that nothing ends early.
pub(crate) fn millis(duration: Duration) -> i64 {
    let millis = duration.as_nanos().div_ceil(1_000_000);
    i64::try_from(millis).unwrap_or(FOREVER).min(FOREVER)
}

/// Returns bytes as a value that no expression takes for a field or an operator.
pub(crate) fn binary(bytes: impl Into<Vec<u8>>) -> Bson {
    Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: bytes.into() })
}

pub(crate) fn key(key: &SessionKey) -> Bson {
    binary(*key.as_bytes())
}

pub(crate) fn owner(owner: &Owner) -> Bson {
    binary(owner.as_str())
}

/// Returns the filter for one key. Nothing else may be in it: this form is what
/// the server looks up without planning.
pub(crate) fn by_key(of: &SessionKey) -> Document {
    doc! { "_id": key(of) }
}

/// Returns an expression that is true of records that are live. A missing
/// deadline is less than any date.
pub(crate) fn live() -> Document {
    doc! { "$gt": ["$exp", NOW] }
}

/// Returns an expression that is true of records that have expired, and not of
/// what does not verify.
pub(crate) fn expired() -> Document {
    doc! { "$and": [{ "$eq": [{ "$type": "$exp" }, "date"] }, { "$lte": ["$exp", NOW] }] }
}

/// Which fields a read asks for, and the server's time.
pub(crate) fn payload_fields() -> Document {
    doc! { "_id": 0, "v": 1, "exp": 1, "data": 1, "now": NOW }
}

/// Which fields decide about a write.
pub(crate) fn state_fields() -> Document {
    doc! { "_id": 0, "v": 1, "exp": 1, "fence": 1, "ptr": 1, "now": NOW }
}

/// Which fields a listing shows.
pub(crate) fn meta_fields() -> Document {
    doc! { "exp": 1, "created": 1, "touched": 1, "owner": 1, "now": NOW }
}

/// A document of a reply, whose fields are read without being copied.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    op: Operation,
    document: &'a RawDocument,
}

impl<'a> Fields<'a> {
    pub(crate) const fn new(op: Operation, document: &'a RawDocument) -> Self {
        Self { op, document }
    }

    fn bad(&self) -> session_core::Error {
        error::bad(self.op)
    }

    fn field(&self, name: &str) -> Result<Option<mongodb::bson::RawBsonRef<'a>>> {
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

    /// Returns the first field of an index that the server describes, and
    /// whether it removes documents.
    pub(crate) fn index(&self) -> (Option<String>, bool) {
        let keys = self.document.get_document("key").ok();
        let first = keys.and_then(|keys| keys.iter().next()?.ok());
        let ends = matches!(self.field("expireAfterSeconds"), Ok(Some(_)));
        (first.map(|(name, _)| name.to_string()), ends)
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

/// Returns a payload that shares the reply's memory.
///
/// `payload` is a part of the batch.
pub(crate) fn share(batch: RawBatch, at: std::ops::Range<usize>) -> Bytes {
    Bytes::from_owner(Reply(batch)).slice(at)
}

/// Returns where in a reply some of its bytes are.
pub(crate) fn place(batch: &RawBatch, part: &[u8]) -> Option<std::ops::Range<usize>> {
    let whole = batch.as_raw_document().as_bytes();
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let end = start.checked_add(part.len())?;
    (end <= whole.len()).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_millisecond_count_and_the_longest_does_not_overflow() {
        assert_eq!(millis(Duration::ZERO), 0);
        assert_eq!(millis(Duration::from_nanos(1)), 1);
        assert_eq!(millis(Duration::from_micros(1500)), 2);
        assert_eq!(millis(Duration::MAX), FOREVER);
        assert_eq!(millis(Duration::from_secs(u64::MAX / 1000)), FOREVER);
    }
}
