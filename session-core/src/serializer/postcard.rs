//! postcard, with the kinds of `Value` as variants of an enum.

use std::fmt;

use postcard::ser_flavors::Flavor;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde::ser::{self, Serialize, SerializeMap};

use super::{Serializer, limits};
use crate::value::{believed, has_repeated_key};
use crate::{MAX_DEPTH, Result, Value};

/// postcard: compact, maintained, with a specified wire format. Feature
/// `postcard`.
///
/// A value is the postcard enum `Null`, `Bool(bool)`, `Int(i64)`, `Uint(u64)`,
/// `Float(f64)`, `Str(String)`, `Bytes`, `List`, `Map`, in this order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Postcard;

impl Serializer for Postcard {
    fn name(&self) -> &'static str {
        "postcard"
    }

    fn encode(&self, value: &Value, out: &mut Vec<u8>) -> Result<()> {
        limits::encode(self.name(), value, out, |out| {
            postcard::serialize_with_flavor(&Tagged(value), Out(out))
        })
    }

    fn decode(&self, bytes: &[u8]) -> Result<Value> {
        limits::decode(self.name(), bytes, |bytes| {
            let mut from = postcard::Deserializer::from_bytes(bytes);
            let value = TaggedSeed { left: MAX_DEPTH }.deserialize(&mut from)?;
            if from.finalize()?.is_empty() { Ok(value) } else { Err(postcard::Error::custom("")) }
        })
    }
}

struct Out<'a>(&'a mut Vec<u8>);

impl Flavor for Out<'_> {
    type Output = ();

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

const NAME: &str = "Value";
const VARIANTS: [&str; 9] = ["Null", "Bool", "Int", "Uint", "Float", "Str", "Bytes", "List", "Map"];

struct Tagged<'a>(&'a Value);

impl Serialize for Tagged<'_> {
    fn serialize<S: ser::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let variant = |index: u32| (NAME, index, VARIANTS[index as usize]);
        macro_rules! newtype {
            ($index:expr, $content:expr) => {{
                let (name, index, variant) = variant($index);
                to.serialize_newtype_variant(name, index, variant, $content)
            }};
        }
        match self.0 {
            Value::Null => to.serialize_unit_variant(NAME, 0, VARIANTS[0]),
            Value::Bool(bool) => newtype!(1, bool),
            Value::Int(int) => newtype!(2, int),
            Value::Uint(uint) => match Value::from(*uint) {
                Value::Int(int) => newtype!(2, &int),
                _ => newtype!(3, uint),
            },
            Value::Float(float) => newtype!(4, float),
            Value::Str(text) => newtype!(5, text),
            Value::Bytes(bytes) => newtype!(6, &Raw(bytes)),
            Value::List(list) => newtype!(7, &List(list)),
            Value::Map(map) => newtype!(8, &Map(map)),
        }
    }
}

struct Raw<'a>(&'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: ser::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(self.0)
    }
}

struct List<'a>(&'a [Value]);

impl Serialize for List<'_> {
    fn serialize<S: ser::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.iter().map(Tagged))
    }
}

struct Map<'a>(&'a [(String, Value)]);

impl Serialize for Map<'_> {
    fn serialize<S: ser::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut entries = to.serialize_map(Some(self.0.len()))?;
        for (key, value) in self.0 {
            entries.serialize_entry(key, &Tagged(value))?;
        }
        entries.end()
    }
}

/// Deserializes a value that may still open `left` containers: the crate itself
/// has no limit.
#[derive(Clone, Copy)]
struct TaggedSeed {
    left: usize,
}

impl<'de> DeserializeSeed<'de> for TaggedSeed {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_enum(NAME, &VARIANTS, self)
    }
}

impl<'de> Visitor<'de> for TaggedSeed {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a tagged value")
    }

    fn visit_enum<A: EnumAccess<'de>>(self, from: A) -> Result<Value, A::Error> {
        let (tag, content) = from.variant::<u32>()?;
        match tag {
            0 => content.unit_variant().map(|()| Value::Null),
            1 => content.newtype_variant().map(Value::Bool),
            2 => content.newtype_variant().map(Value::Int),
            3 => content.newtype_variant::<u64>().map(Value::from),
            4 => content.newtype_variant().map(Value::Float),
            5 => content.newtype_variant().map(Value::Str),
            6 => content.newtype_variant().map(|bytes: &[u8]| Value::Bytes(bytes.to_owned())),
            7 => content.newtype_variant_seed(Children::<false>(self.inner()?)),
            8 => content.newtype_variant_seed(Children::<true>(self.inner()?)),
            _ => Err(A::Error::custom("an unknown tag")),
        }
    }
}

impl TaggedSeed {
    fn inner<E: Error>(self) -> Result<Self, E> {
        let left = self.left.checked_sub(1).ok_or_else(|| E::custom("nested too deeply"))?;
        Ok(Self { left })
    }
}

/// The content of a list, or of a map if `KEYED`.
struct Children<const KEYED: bool>(TaggedSeed);

impl<'de, const KEYED: bool> DeserializeSeed<'de> for Children<KEYED> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        if KEYED { from.deserialize_map(self) } else { from.deserialize_seq(self) }
    }
}

impl<'de, const KEYED: bool> Visitor<'de> for Children<KEYED> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if KEYED { "a map" } else { "a list" })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut list = Vec::with_capacity(believed(from.size_hint()));
        while let Some(value) = from.next_element_seed(self.0)? {
            list.push(value);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut map = Vec::with_capacity(believed(from.size_hint()));
        while let Some(key) = from.next_key()? {
            map.push((key, from.next_value_seed(self.0)?));
        }
        if has_repeated_key(&map) {
            return Err(A::Error::custom("a repeated key"));
        }
        Ok(Value::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden bytes: if this fails, stored sessions have become unreadable.
    #[test]
    fn wire_format_is_frozen() {
        let map = Value::from_iter([("n", Value::from(-1)), ("s", Value::from("é"))]);
        let max = [vec![3], vec![255; 9], vec![1]].concat();
        let golden: [(Value, &[u8]); 10] = [
            (map, &[8, 2, 1, b'n', 2, 1, 1, b's', 5, 2, 0xc3, 0xa9]),
            (Value::Null, &[0]),
            (Value::from(true), &[1, 1]),
            (Value::from(300), &[2, 0xd8, 4]),
            (Value::from(u64::MAX), &max),
            (Value::from(-0.0), &[4, 0, 0, 0, 0, 0, 0, 0, 128]),
            (Value::from(""), &[5, 0]),
            (Value::Bytes(vec![0, 255]), &[6, 2, 0, 255]),
            (Value::from([false]), &[7, 1, 1, 0]),
            (Value::Map(Vec::new()), &[8, 0]),
        ];
        for (value, bytes) in golden {
            let mut out = Vec::new();
            Postcard.encode(&value, &mut out).unwrap();
            assert_eq!(out, bytes, "{value:?}");
            assert_eq!(Postcard.decode(bytes).unwrap(), value);
        }
    }

    #[test]
    fn depth_is_limited_not_the_stack() {
        let nested = |depth: usize| [[7, 1].repeat(depth), vec![0]].concat();
        assert!(Postcard.decode(&nested(64)).is_ok());
        for depth in [65, 20_000] {
            assert!(Postcard.decode(&nested(depth)).is_err(), "{depth}");
        }
    }

    #[test]
    fn what_encode_never_writes_is_refused() {
        let repeated = [8, 2, 1, b'k', 0, 1, b'k', 0];
        for bytes in [&[][..], &[9], &[1, 2], &[0, 0], &[5, 1, 0xff], &repeated] {
            assert!(Postcard.decode(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_claimed_length_allocates_nothing() {
        for tag in 5..=8 {
            let claim = [vec![tag], vec![0xff; 6], vec![0x3f]].concat();
            assert!(Postcard.decode(&claim).is_err(), "{tag}");
        }
    }
}
