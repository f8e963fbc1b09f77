//! MessagePack, on rmp-serde.

use rmp_serde::decode;
use serde::de::{Deserialize, Error};
use serde::ser::Serialize;

use super::{Serializer, limits};
use crate::{Result, Value};

/// MessagePack: readable from other languages. Feature `msgpack`.
///
/// Every [`Value`] is the MessagePack type of the same name, floats always in 64
/// bits and integers in the fewest bytes. Of what other programs write, extension
/// types are refused, and a string that is not UTF-8 is read as bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct MessagePack;

impl Serializer for MessagePack {
    fn name(&self) -> &'static str {
        "msgpack"
    }

    fn encode(&self, value: &Value, out: &mut Vec<u8>) -> Result<()> {
        limits::encode(self.name(), value, out, |out| {
            value.serialize(&mut rmp_serde::Serializer::new(out))
        })
    }

    fn decode(&self, bytes: &[u8]) -> Result<Value> {
        limits::decode(self.name(), bytes, |bytes| {
            let mut from = rmp_serde::Deserializer::from_read_ref(bytes);
            let value = Deserialize::deserialize(&mut from)?;
            // Only at the end is there no marker to read; a scalar reads but one.
            match bool::deserialize(&mut from) {
                Err(decode::Error::InvalidMarkerRead(_)) => Ok(value),
                _ => Err(decode::Error::custom("left-over bytes")),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden bytes: if this fails, stored sessions have become unreadable.
    #[test]
    fn wire_format_is_frozen() {
        let map = Value::from_iter([("n", Value::from(-1)), ("s", Value::from("é"))]);
        let max = [vec![0xcf], vec![255; 8]].concat();
        let golden: [(Value, &[u8]); 10] = [
            (map, &[0x82, 0xa1, b'n', 0xff, 0xa1, b's', 0xa2, 0xc3, 0xa9]),
            (Value::Null, &[0xc0]),
            (Value::from(true), &[0xc3]),
            (Value::from(300), &[0xcd, 1, 44]),
            (Value::from(u64::MAX), &max),
            (Value::from(-0.0), &[0xcb, 128, 0, 0, 0, 0, 0, 0, 0]),
            (Value::from(""), &[0xa0]),
            (Value::Bytes(vec![0, 255]), &[0xc4, 2, 0, 255]),
            (Value::from([false]), &[0x91, 0xc2]),
            (Value::Map(Vec::new()), &[0x80]),
        ];
        for (value, bytes) in golden {
            let mut out = Vec::new();
            MessagePack.encode(&value, &mut out).unwrap();
            assert_eq!(out, bytes, "{value:?}");
            assert_eq!(MessagePack.decode(bytes).unwrap(), value);
        }
    }

    #[test]
    fn depth_is_limited_not_the_stack() {
        let nested = |depth: usize| [[0x91].repeat(depth), vec![0xc0]].concat();
        assert!(MessagePack.decode(&nested(64)).is_ok());
        for depth in [65, 20_000] {
            assert!(MessagePack.decode(&nested(depth)).is_err(), "{depth}");
        }
    }

    #[test]
    fn what_encode_never_writes_is_refused() {
        let repeated = [0x82, 0xa1, b'k', 0xc0, 0xa1, b'k', 0xc0];
        let extension = [0xd4, 1, 0];
        let number_as_key = [0x81, 1, 1];
        for bytes in [&repeated[..], &extension, &number_as_key, &[0xc1], &[0xc0, 0xc0], &[0xc0, 1]]
        {
            assert!(MessagePack.decode(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_claimed_length_allocates_nothing() {
        for marker in [0xdb, 0xc6, 0xdd, 0xdf] {
            assert!(MessagePack.decode(&[marker, 255, 255, 255, 255]).is_err(), "{marker:x}");
        }
    }
}
