//! `Value` as a citizen of any serde format.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{MAX_DEPTH, Value};

/// Serializes as plain data of the format: lossless where the format has bytes
/// and all floats.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(bool) => serializer.serialize_bool(*bool),
            Self::Int(int) => serializer.serialize_i64(*int),
            Self::Uint(uint) => serializer.serialize_u64(*uint),
            Self::Float(float) => serializer.serialize_f64(*float),
            Self::Str(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => serializer.serialize_bytes(bytes),
            Self::List(list) => serializer.collect_seq(list),
            Self::Map(map) => {
                let mut entries = serializer.serialize_map(Some(map.len()))?;
                for (key, value) in map {
                    entries.serialize_entry(key, value)?;
                }
                entries.end()
            }
        }
    }
}

/// Deserializes from any self-describing format.
///
/// Nesting beyond [`MAX_DEPTH`], a repeated key, a key that is not a string and
/// an integer beyond 64 bits are errors.
impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        AnySeed { left: MAX_DEPTH }.deserialize(deserializer)
    }
}

/// Deserializes a value that may still open `left` containers.
#[derive(Clone, Copy)]
pub(crate) struct AnySeed {
    pub(crate) left: usize,
}

impl AnySeed {
    fn inner<E: Error>(self) -> Result<Self, E> {
        match self.left.checked_sub(1) {
            Some(left) => Ok(Self { left }),
            None => Err(E::custom("nested too deeply")),
        }
    }
}

impl<'de> DeserializeSeed<'de> for AnySeed {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AnySeed {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, bool: bool) -> Result<Value, E> {
        Ok(Value::Bool(bool))
    }

    fn visit_i64<E>(self, int: i64) -> Result<Value, E> {
        Ok(Value::Int(int))
    }

    fn visit_u64<E>(self, uint: u64) -> Result<Value, E> {
        Ok(Value::from(uint))
    }

    fn visit_f64<E>(self, float: f64) -> Result<Value, E> {
        Ok(Value::Float(float))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Str(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Str(text))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Value, E> {
        Ok(Value::Bytes(bytes.to_owned()))
    }

    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Value, E> {
        Ok(Value::Bytes(bytes))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut list = Vec::with_capacity(believed(seq.size_hint()));
        while let Some(value) = seq.next_element_seed(inner)? {
            list.push(value);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut map = Vec::with_capacity(believed(entries.size_hint()));
        while let Some(key) = entries.next_key::<String>()? {
            map.push((key, entries.next_value_seed(inner)?));
        }
        if has_repeated_key(&map) {
            return Err(A::Error::custom("a map has the same key twice"));
        }
        Ok(Value::Map(map))
    }
}

/// Returns how many elements to make room for when `claimed` are announced.
///
/// The length may be a claim of hostile bytes: beyond a few, room is made as the
/// elements arrive.
pub(crate) fn believed(claimed: Option<usize>) -> usize {
    claimed.unwrap_or(0).min(16)
}

/// Returns whether two entries have the same key.
pub(crate) fn has_repeated_key(map: &[(String, Value)]) -> bool {
    /// Up to here comparing every pair beats building a set.
    const FEW: usize = 16;

    if map.len() <= FEW {
        map.iter().enumerate().any(|(i, (key, _))| map[..i].iter().any(|(other, _)| other == key))
    } else {
        let mut seen = BTreeSet::new();
        !map.iter().all(|(key, _)| seen.insert(key.as_str()))
    }
}
