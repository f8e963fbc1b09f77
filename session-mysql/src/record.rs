//! Between rows and what session-core knows of sessions.

use std::time::Duration;

use session_core::{
    Bytes, Operation, Owner, Result, SessionKey, SessionMeta, Stored, Version, WriteOptions,
};
use sqlx::mysql::MySqlRow;
use sqlx::{Decode, Row, Type};

use crate::error::Failure;
use crate::param::Param;

/// Payloads from here on are kept where the driver has read them; smaller ones
/// are copied, which costs less than holding on to the driver's buffer.
const LARGE: usize = 4096;
/// The longest span of time, in milliseconds: 146 million years. Any moment
/// plus that still fits into a `BIGINT`.
const MAX_LIFETIME: i64 = 1 << 62;

/// Returns a span in whole milliseconds; parts count as a whole one, so that
/// nothing ends early.
pub(crate) fn millis(span: Duration) -> i64 {
    let millis = span.as_nanos().div_ceil(1_000_000);
    i64::try_from(millis).map_or(MAX_LIFETIME, |millis| millis.min(MAX_LIFETIME))
}

/// Returns what a write binds for a record.
pub(crate) fn params<'a>(
    version: u64,
    payload: &'a [u8],
    options: &'a WriteOptions,
) -> [Param<'a>; 7] {
    [
        Param::Uint(version),
        Param::Int(millis(options.age)),
        Param::Int(millis(options.lifetime())),
        options.absolute.map_or(Param::Null, |absolute| Param::Int(millis(absolute))),
        options.owner.as_ref().map_or(Param::Null, Param::from),
        Param::Uint(options.pointer.into()),
        Param::Bytes(payload),
    ]
}

/// Reads what `read` selects: version, what remains, data.
pub(crate) fn stored(row: MySqlRow) -> Result<Stored> {
    let op = Operation::Read;
    let version: u64 = column(op, &row, 0)?;
    let remaining = span(column(op, &row, 1)?);
    let data: &[u8] = column(op, &row, 2)?;
    let payload = if data.len() < LARGE {
        Bytes::copy_from_slice(data)
    } else {
        Bytes::from_owner(Payload(row))
    };
    Ok(Stored::new(payload, Version::counter(version)).with_remaining(remaining))
}

/// A row whose third column is a payload, which was read once before.
struct Payload(MySqlRow);

impl AsRef<[u8]> for Payload {
    fn as_ref(&self) -> &[u8] {
        self.0.try_get_unchecked(2).unwrap_or_default()
    }
}

/// Reads what a listing selects: key, owner, age, idle, what remains.
pub(crate) fn meta(op: Operation, row: &MySqlRow) -> Result<SessionMeta> {
    let owner: Option<&[u8]> = column(op, row, 1)?;
    let owner = owner.map(|name| {
        let name = std::str::from_utf8(name).map_err(|_| misread(op))?;
        Owner::new(name).map_err(|_| misread(op))
    });
    let [age, idle, remaining] = [column(op, row, 2)?, column(op, row, 3)?, column(op, row, 4)?];
    let meta = SessionMeta::new(key(op, row)?, span(age), span(idle), span(remaining));
    Ok(meta.with_owner(owner.transpose()?))
}

/// Reads a key from the first column.
pub(crate) fn key(op: Operation, row: &MySqlRow) -> Result<SessionKey> {
    let bytes: &[u8] = column(op, row, 0)?;
    Ok(SessionKey::from_bytes(bytes.try_into().map_err(|_| misread(op))?))
}

/// Reads a column.
pub(crate) fn column<'a, T>(op: Operation, row: &'a MySqlRow, index: usize) -> Result<T>
where
    T: Decode<'a, sqlx::MySql> + Type<sqlx::MySql>,
{
    row.try_get(index).map_err(|_| misread(op))
}

fn misread(op: Operation) -> session_core::Error {
    Failure::misread().into_error(op, false)
}

fn span(millis: i64) -> Duration {
    Duration::from_millis(millis.try_into().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_rounded_up_and_bounded() {
        assert_eq!(millis(Duration::ZERO), 0);
        assert_eq!(millis(Duration::from_nanos(1)), 1);
        assert_eq!(millis(Duration::from_millis(1500)), 1500);
        assert_eq!(millis(Duration::MAX), MAX_LIFETIME);
        assert_eq!(span(-1), Duration::ZERO);
    }
}
