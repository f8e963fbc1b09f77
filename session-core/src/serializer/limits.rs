//! What every built-in serializer checks, before it writes and before it reads.

use crate::serializer::MAX_ENCODED_LEN;
use crate::value::has_repeated_key;
use crate::{Error, ErrorKind, MAX_DEPTH, Operation, Result, Value};

/// Lets `write` append to `out` if `value` may be stored; undoes it if it fails
/// or passes the limit.
#[inline]
pub(super) fn encode<E>(
    name: &'static str,
    value: &Value,
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<()> {
    storable(value, MAX_DEPTH)?;
    let start = out.len();
    let error = match write(out) {
        Ok(()) if out.len() - start <= MAX_ENCODED_LEN => return Ok(()),
        Ok(()) => too_long(),
        Err(_) => Error::new(
            ErrorKind::Unsupported,
            Operation::Encode,
            format!("{name} cannot express this value"),
        ),
    };
    out.truncate(start);
    Err(error)
}

/// Refuses more bytes than `encode` writes, then lets `read` have them.
#[inline]
pub(super) fn decode<E>(
    name: &'static str,
    bytes: &[u8],
    read: impl FnOnce(&[u8]) -> Result<Value, E>,
) -> Result<Value> {
    let fits = bytes.len() <= MAX_ENCODED_LEN;
    // The format's own error is dropped: it may quote the data.
    fits.then(|| read(bytes).ok()).flatten().ok_or_else(|| {
        Error::new(
            ErrorKind::Corrupt,
            Operation::Decode,
            format!("the stored bytes are not a value that {name} wrote"),
        )
    })
}

/// Returns a lower bound of the encoded length of a value that may be stored.
fn storable(value: &Value, left: usize) -> Result<usize> {
    let len = match value {
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Uint(_) | Value::Float(_) => {
            return Ok(1);
        }
        Value::Str(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(list) => {
            let left = inner(left)?;
            list.iter().try_fold(1, |len, value| add(len, storable(value, left)?))?
        }
        Value::Map(map) => {
            let left = inner(left)?;
            if has_repeated_key(map) {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    Operation::Encode,
                    "a map has the same key twice; make the keys unique",
                ));
            }
            map.iter().try_fold(1, |len, (key, value)| {
                add(add(len, key.len())?, storable(value, left)?)
            })?
        }
    };
    add(len, 0)
}

fn add(len: usize, more: usize) -> Result<usize> {
    let len = len.saturating_add(more);
    if len <= MAX_ENCODED_LEN { Ok(len) } else { Err(too_long()) }
}

fn inner(left: usize) -> Result<usize> {
    left.checked_sub(1).ok_or_else(|| {
        Error::new(
            ErrorKind::TooLarge,
            Operation::Encode,
            format!("lists and maps are nested deeper than {MAX_DEPTH}"),
        )
    })
}

fn too_long() -> Error {
    Error::new(
        ErrorKind::TooLarge,
        Operation::Encode,
        format!(
            "one value takes more than {MAX_ENCODED_LEN} bytes; keep it elsewhere and store a reference"
        ),
    )
}
