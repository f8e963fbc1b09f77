//! The default format, on bincode 2.
//!
//! One tag byte, then the content in bincode's standard configuration. Written by
//! hand, so that the bytes are ours: another crate can take over under the same
//! golden bytes.

use bincode::config::{self, Config};
use bincode::de::{BorrowDecode, BorrowDecoder, Decode};
use bincode::enc::write::Writer;
use bincode::enc::{Encode, Encoder};
use bincode::error::{DecodeError, EncodeError};

use super::{MAX_ENCODED_LEN, Serializer, limits};
use crate::value::{believed, has_repeated_key};
use crate::{MAX_DEPTH, Result, Value};

/// bincode 2: compact and fast. The default; feature `bincode`.
///
/// The format is stable and the crate finished rather than maintained, so only
/// [`Value`] is ever encoded, and bytes, depth and lengths are bounded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bincode;

/// bincode counts an integer at its full width, up to 8 for a byte that is there.
const CLAIMS: usize = 8 * MAX_ENCODED_LEN;

const fn config() -> impl Config {
    config::standard().with_limit::<CLAIMS>()
}

impl Serializer for Bincode {
    fn name(&self) -> &'static str {
        "bincode"
    }

    fn encode(&self, value: &Value, out: &mut Vec<u8>) -> Result<()> {
        limits::encode(self.name(), value, out, |out| {
            bincode::encode_into_writer(ToWire(value), Out(out), config())
        })
    }

    fn decode(&self, bytes: &[u8]) -> Result<Value> {
        limits::decode(self.name(), bytes, |bytes| {
            let depth = Depth { left: MAX_DEPTH };
            let (FromWire(value), used) =
                bincode::borrow_decode_from_slice_with_context(bytes, config(), depth)?;
            if used == bytes.len() { Ok(value) } else { Err(DecodeError::Other("left-over bytes")) }
        })
    }
}

mod tag {
    pub(super) const NULL: u8 = 0;
    pub(super) const BOOL: u8 = 1;
    pub(super) const INT: u8 = 2;
    pub(super) const UINT: u8 = 3;
    pub(super) const FLOAT: u8 = 4;
    pub(super) const STR: u8 = 5;
    pub(super) const BYTES: u8 = 6;
    pub(super) const LIST: u8 = 7;
    pub(super) const MAP: u8 = 8;
}

struct Out<'a>(&'a mut Vec<u8>);

impl Writer for Out<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

struct ToWire<'a>(&'a Value);

impl Encode for ToWire<'_> {
    fn encode<E: Encoder>(&self, to: &mut E) -> Result<(), EncodeError> {
        match self.0 {
            Value::Null => tag::NULL.encode(to),
            Value::Bool(bool) => (tag::BOOL, *bool).encode(to),
            Value::Int(int) => (tag::INT, *int).encode(to),
            Value::Uint(uint) => match Value::from(*uint) {
                Value::Int(int) => (tag::INT, int).encode(to),
                _ => (tag::UINT, *uint).encode(to),
            },
            Value::Float(float) => (tag::FLOAT, *float).encode(to),
            Value::Str(text) => (tag::STR, text).encode(to),
            Value::Bytes(bytes) => (tag::BYTES, &bytes[..]).encode(to),
            Value::List(list) => {
                (tag::LIST, list.len() as u64).encode(to)?;
                list.iter().try_for_each(|value| ToWire(value).encode(to))
            }
            Value::Map(map) => {
                (tag::MAP, map.len() as u64).encode(to)?;
                map.iter().try_for_each(|(key, value)| (key, ToWire(value)).encode(to))
            }
        }
    }
}

/// Decoding context: how many more containers may be opened.
struct Depth {
    left: usize,
}

struct FromWire(Value);

impl<'de> BorrowDecode<'de, Depth> for FromWire {
    fn borrow_decode<D: BorrowDecoder<'de, Context = Depth>>(
        from: &mut D,
    ) -> Result<Self, DecodeError> {
        Ok(Self(match u8::decode(from)? {
            tag::NULL => Value::Null,
            tag::BOOL => Value::Bool(bool::decode(from)?),
            tag::INT => Value::Int(i64::decode(from)?),
            tag::UINT => Value::from(u64::decode(from)?),
            tag::FLOAT => Value::Float(f64::decode(from)?),
            tag::STR => Value::Str(text(from)?),
            tag::BYTES => Value::Bytes(<&[u8]>::borrow_decode(from)?.to_owned()),
            tag::LIST => Value::List(children(from, value)?),
            tag::MAP => {
                let map = children(from, |from| Ok((text(from)?, value(from)?)))?;
                if has_repeated_key(&map) {
                    return Err(DecodeError::Other("a repeated key"));
                }
                Value::Map(map)
            }
            _ => return Err(DecodeError::Other("an unknown tag")),
        }))
    }
}

fn value<'de, D: BorrowDecoder<'de, Context = Depth>>(from: &mut D) -> Result<Value, DecodeError> {
    FromWire::borrow_decode(from).map(|FromWire(value)| value)
}

/// Borrows first, so that a claimed length allocates nothing.
fn text<'de, D: BorrowDecoder<'de, Context = Depth>>(from: &mut D) -> Result<String, DecodeError> {
    <&str>::borrow_decode(from).map(str::to_owned)
}

/// Decodes a length and that many children, one level down.
fn children<'de, D: BorrowDecoder<'de, Context = Depth>, T>(
    from: &mut D,
    mut child: impl FnMut(&mut D) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let left = from.context().left;
    from.context().left = left.checked_sub(1).ok_or(DecodeError::Other("nested too deeply"))?;
    let len = u64::decode(from)?;
    let mut list = Vec::with_capacity(believed(usize::try_from(len).ok()));
    for _ in 0..len {
        list.push(child(from)?);
    }
    from.context().left = left;
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn refused(bytes: &[u8]) -> bool {
        matches!(Bincode.decode(bytes), Err(error) if error.kind() == ErrorKind::Corrupt)
    }

    /// Golden bytes: if this fails, stored sessions have become unreadable.
    #[test]
    fn wire_format_is_frozen() {
        let map = Value::from_iter([("n", Value::from(-1)), ("s", Value::from("é"))]);
        let max = [vec![3, 253], vec![255; 8]].concat();
        let golden: [(Value, &[u8]); 10] = [
            (map, &[8, 2, 1, b'n', 2, 1, 1, b's', 5, 2, 0xc3, 0xa9]),
            (Value::Null, &[0]),
            (Value::from(true), &[1, 1]),
            (Value::from(300), &[2, 251, 88, 2]),
            (Value::from(u64::MAX), &max),
            (Value::from(-0.0), &[4, 0, 0, 0, 0, 0, 0, 0, 128]),
            (Value::from(""), &[5, 0]),
            (Value::Bytes(vec![0, 255]), &[6, 2, 0, 255]),
            (Value::from([false]), &[7, 1, 1, 0]),
            (Value::Map(Vec::new()), &[8, 0]),
        ];
        for (value, bytes) in golden {
            let mut out = Vec::new();
            Bincode.encode(&value, &mut out).unwrap();
            assert_eq!(out, bytes, "{value:?}");
            assert_eq!(Bincode.decode(bytes).unwrap(), value);
        }
    }

    #[test]
    fn depth_is_limited_not_the_stack() {
        let nested = |depth: usize| [[7, 1].repeat(depth), vec![0]].concat();
        assert!(Bincode.decode(&nested(64)).is_ok());
        for depth in [65, 20_000] {
            assert!(refused(&nested(depth)), "{depth}");
        }
    }

    #[test]
    fn a_claimed_length_allocates_nothing() {
        for tag in [tag::STR, tag::BYTES, tag::LIST, tag::MAP] {
            let claim = [vec![tag, 253], (1u64 << 46).to_le_bytes().to_vec()].concat();
            assert!(refused(&claim), "{tag}");
        }
    }

    #[test]
    fn what_encode_never_writes_is_refused() {
        let repeated = [8, 2, 1, b'k', 0, 1, b'k', 0];
        for bytes in [&[][..], &[9], &[1, 2], &[0, 0], &[5, 1, 0xff], &repeated] {
            assert!(refused(bytes), "{bytes:?}");
        }
    }

    #[test]
    fn a_list_as_long_as_may_be_written_is_read_back() {
        let list = Value::List(vec![Value::from(1); (MAX_ENCODED_LEN - 6) / 2]);
        let mut out = Vec::new();
        Bincode.encode(&list, &mut out).unwrap();
        assert_eq!(Bincode.decode(&out).unwrap(), list);
    }
}
