//! A `Value` becomes any `Deserialize`.

use std::slice;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::Value;
use super::fault::Fault;
use super::key::FromKey;
use crate::{Operation, Result};

impl Value {
    /// Makes a `T` from this value; `&str` and `&[u8]` borrow from it.
    ///
    /// Integers convert to any integer type that holds the number and to a float
    /// that is exactly the number. Floats never become integers, and become an
    /// `f32` only without rounding. A null is `None` for an option.
    ///
    /// # Errors
    ///
    /// [`TypeMismatch`](crate::ErrorKind::TypeMismatch) if this is not a `T`. The
    /// message names both types and never quotes the data.
    pub fn deserialize<'de, T: Deserialize<'de>>(&'de self) -> Result<T> {
        T::deserialize(FromValue(self))
            .map_err(|fault| fault.into_error(Operation::Decode, std::any::type_name::<T>()))
    }
}

fn unexpected(value: &Value) -> Unexpected<'_> {
    match value {
        Value::Null => Unexpected::Unit,
        Value::Bool(bool) => Unexpected::Bool(*bool),
        Value::Int(int) => Unexpected::Signed(*int),
        Value::Uint(uint) => Unexpected::Unsigned(*uint),
        Value::Float(float) => Unexpected::Float(*float),
        Value::Str(text) => Unexpected::Str(text),
        Value::Bytes(bytes) => Unexpected::Bytes(bytes),
        Value::List(_) => Unexpected::Seq,
        Value::Map(_) => Unexpected::Map,
    }
}

fn inexact(value: &Value, wanted: &str) -> Fault {
    let found = value.type_name();
    Fault::mismatch(format!("found another {found}, expected one that {wanted} holds exactly"))
}

/// Converts an integer of at most 64 bits, if no bit is lost.
fn exact_f64(int: i128) -> Option<f64> {
    let float = int as f64;
    (float as i128 == int).then_some(float)
}

fn exact_f32(float: f64) -> Option<f32> {
    let short = float as f32;
    (f64::from(short).to_bits() == float.to_bits() || float.is_nan()).then_some(short)
}

impl Value {
    fn exact_float(&self) -> Result<Option<f64>, Fault> {
        let int = match self {
            Self::Float(float) => return Ok(Some(*float)),
            Self::Int(int) => i128::from(*int),
            Self::Uint(uint) => i128::from(*uint),
            _ => return Ok(None),
        };
        exact_f64(int).map(Some).ok_or_else(|| inexact(self, "an f64"))
    }
}

struct FromValue<'de>(&'de Value);

impl<'de> Deserializer<'de> for FromValue<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(bool) => visitor.visit_bool(*bool),
            Value::Int(int) => visitor.visit_i64(*int),
            Value::Uint(uint) => visitor.visit_u64(*uint),
            Value::Float(float) => visitor.visit_f64(*float),
            Value::Str(text) => visitor.visit_borrowed_str(text),
            Value::Bytes(bytes) => visitor.visit_borrowed_bytes(bytes),
            Value::List(list) => visit_list(list, visitor),
            Value::Map(map) => visit_map(map, visitor),
        }
    }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_any(visitor)
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_any(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0.exact_float()? {
            Some(float) => visitor.visit_f64(float),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0.exact_float()?.map(exact_f32) {
            Some(Some(float)) => visitor.visit_f32(float),
            Some(None) => Err(inexact(self.0, "an f32")),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.0 {
            Value::Str(variant) => visitor.visit_enum(FromVariant { variant, content: None }),
            Value::Map(map) => match &map[..] {
                [(variant, content)] => {
                    visitor.visit_enum(FromVariant { variant, content: Some(content) })
                }
                _ => Err(Fault::invalid_length(map.len(), &"a variant: a map of one entry")),
            },
            other => Err(Fault::invalid_type(unexpected(other), &"a variant: a string or a map")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 char str string bytes byte_buf unit unit_struct seq
        tuple tuple_struct map struct identifier
    }
}

/// Every element must be taken: a pair is no value for a type of one element.
fn visit_list<'de, V: Visitor<'de>>(list: &'de [Value], visitor: V) -> Result<V::Value, Fault> {
    let mut elements = FromList(list.iter());
    let value = visitor.visit_seq(&mut elements)?;
    match elements.0.len() {
        0 => Ok(value),
        left => Err(Fault::invalid_length(list.len(), &shorter(list.len() - left))),
    }
}

fn visit_map<'de, V: Visitor<'de>>(
    map: &'de [(String, Value)],
    visitor: V,
) -> Result<V::Value, Fault> {
    let mut entries = FromMap { entries: map.iter(), value: None };
    let value = visitor.visit_map(&mut entries)?;
    match entries.entries.len() {
        0 => Ok(value),
        left => Err(Fault::invalid_length(map.len(), &shorter(map.len() - left))),
    }
}

fn shorter(taken: usize) -> &'static str {
    match taken {
        0 => "none",
        1 => "one",
        _ => "fewer",
    }
}

struct FromList<'de>(slice::Iter<'de, Value>);

impl<'de> SeqAccess<'de> for FromList<'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        self.0.next().map(|value| seed.deserialize(FromValue(value))).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

struct FromMap<'de> {
    entries: slice::Iter<'de, (String, Value)>,
    value: Option<&'de Value>,
}

impl<'de> MapAccess<'de> for FromMap<'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        let Some((key, value)) = self.entries.next() else { return Ok(None) };
        self.value = Some(value);
        seed.deserialize(FromKey(key)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Fault> {
        let value = self.value.take().ok_or_else(|| Fault::custom("value before key"))?;
        seed.deserialize(FromValue(value))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.entries.len())
    }
}

/// An externally tagged enum: a name alone, or a name with its content.
struct FromVariant<'de> {
    variant: &'de str,
    content: Option<&'de Value>,
}

impl<'de> EnumAccess<'de> for FromVariant<'de> {
    type Error = Fault;
    type Variant = Content<'de>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Content<'de>), Fault> {
        let variant = seed.deserialize(BorrowedStrDeserializer::<Fault>::new(self.variant))?;
        Ok((variant, Content(self.content)))
    }
}

struct Content<'de>(Option<&'de Value>);

impl<'de> Content<'de> {
    fn some(self) -> Result<&'de Value, Fault> {
        self.0.ok_or_else(|| Fault::invalid_type(Unexpected::Str(""), &"a variant with content"))
    }
}

impl<'de> VariantAccess<'de> for Content<'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        self.0.map_or(Ok(()), |content| <()>::deserialize(FromValue(content)))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        seed.deserialize(FromValue(self.some()?))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        match self.some()? {
            Value::List(list) => visit_list(list, visitor),
            other => Err(Fault::invalid_type(unexpected(other), &"a tuple variant")),
        }
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        FromValue(self.some()?).deserialize_any(visitor)
    }
}
