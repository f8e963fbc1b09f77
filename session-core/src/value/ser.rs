//! Any `Serialize` becomes a `Value`.

use serde::ser::{self, Serialize};

use super::any::{believed, has_repeated_key};
use super::fault::Fault;
use super::key::ToKey;
use super::{MAX_DEPTH, Value};
use crate::{ErrorKind, Operation, Result};

impl Value {
    /// Makes a value from anything serde can serialize.
    ///
    /// The data model is JSON's, as `serde_json` lays it out, plus bytes: enums
    /// are externally tagged, `None` and units are null, and map keys that are
    /// integers, booleans, characters or unit variants become strings.
    ///
    /// # Errors
    ///
    /// [`TooLarge`](ErrorKind::TooLarge) beyond [`MAX_DEPTH`].
    /// [`Unsupported`](ErrorKind::Unsupported) for an integer beyond 64 bits, a
    /// map key that is none of the above, a map with the same key twice (two
    /// fields that `#[serde(flatten)]` puts in one place, say), or if the type's
    /// own serde code fails. No message quotes the data.
    pub fn from_serialize<T: Serialize + ?Sized>(from: &T) -> Result<Self> {
        from.serialize(ToValue { left: MAX_DEPTH })
            .map_err(|fault| fault.into_error(Operation::Encode, std::any::type_name::<T>()))
    }
}

/// Serializes into a value that may still open `left` containers.
#[derive(Clone, Copy)]
struct ToValue {
    left: usize,
}

impl ToValue {
    fn inner(self) -> Result<Self, Fault> {
        self.left.checked_sub(1).map(|left| Self { left }).ok_or_else(Fault::too_deep)
    }

    fn list(self, len: Option<usize>) -> Result<ToList, Fault> {
        Ok(ToList { list: Vec::with_capacity(believed(len)), variant: None, inner: self.inner()? })
    }

    fn map(self, len: Option<usize>) -> Result<ToMap, Fault> {
        Ok(ToMap {
            map: Vec::with_capacity(believed(len)),
            key: None,
            variant: None,
            inner: self.inner()?,
        })
    }
}

/// Lays out an enum's variant with content: a map of one entry.
fn tagged(variant: Option<&'static str>, content: Value) -> Value {
    match variant {
        Some(variant) => Value::Map(vec![(variant.to_owned(), content)]),
        None => content,
    }
}

fn beyond_64_bits() -> Fault {
    Fault::new(
        ErrorKind::Unsupported,
        "integers beyond 64 bits cannot be stored; store the number as a string",
    )
}

impl ser::Serializer for ToValue {
    type Ok = Value;
    type Error = Fault;
    type SerializeSeq = ToList;
    type SerializeTuple = ToList;
    type SerializeTupleStruct = ToList;
    type SerializeTupleVariant = ToList;
    type SerializeMap = ToMap;
    type SerializeStruct = ToMap;
    type SerializeStructVariant = ToMap;

    fn serialize_bool(self, bool: bool) -> Result<Value, Fault> {
        Ok(Value::Bool(bool))
    }

    fn serialize_i8(self, int: i8) -> Result<Value, Fault> {
        Ok(Value::from(int))
    }

    fn serialize_i16(self, int: i16) -> Result<Value, Fault> {
        Ok(Value::from(int))
    }

    fn serialize_i32(self, int: i32) -> Result<Value, Fault> {
        Ok(Value::from(int))
    }

    fn serialize_i64(self, int: i64) -> Result<Value, Fault> {
        Ok(Value::from(int))
    }

    fn serialize_i128(self, int: i128) -> Result<Value, Fault> {
        match i64::try_from(int) {
            Ok(int) => Ok(Value::Int(int)),
            Err(_) => u64::try_from(int).map(Value::from).map_err(|_| beyond_64_bits()),
        }
    }

    fn serialize_u8(self, uint: u8) -> Result<Value, Fault> {
        Ok(Value::from(uint))
    }

    fn serialize_u16(self, uint: u16) -> Result<Value, Fault> {
        Ok(Value::from(uint))
    }

    fn serialize_u32(self, uint: u32) -> Result<Value, Fault> {
        Ok(Value::from(uint))
    }

    fn serialize_u64(self, uint: u64) -> Result<Value, Fault> {
        Ok(Value::from(uint))
    }

    fn serialize_u128(self, uint: u128) -> Result<Value, Fault> {
        u64::try_from(uint).map(Value::from).map_err(|_| beyond_64_bits())
    }

    fn serialize_f32(self, float: f32) -> Result<Value, Fault> {
        Ok(Value::from(float))
    }

    fn serialize_f64(self, float: f64) -> Result<Value, Fault> {
        Ok(Value::Float(float))
    }

    fn serialize_char(self, char: char) -> Result<Value, Fault> {
        Ok(Value::from(char))
    }

    fn serialize_str(self, text: &str) -> Result<Value, Fault> {
        Ok(Value::from(text))
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<Value, Fault> {
        Ok(Value::Bytes(bytes.to_owned()))
    }

    fn serialize_none(self) -> Result<Value, Fault> {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, some: &T) -> Result<Value, Fault> {
        some.serialize(self)
    }

    fn serialize_unit(self) -> Result<Value, Fault> {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Value, Fault> {
        Ok(Value::Null)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Value, Fault> {
        Ok(Value::from(variant))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        inner: &T,
    ) -> Result<Value, Fault> {
        inner.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        content: &T,
    ) -> Result<Value, Fault> {
        Ok(tagged(Some(variant), content.serialize(self.inner()?)?))
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<ToList, Fault> {
        self.list(len)
    }

    fn serialize_tuple(self, len: usize) -> Result<ToList, Fault> {
        self.list(Some(len))
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<ToList, Fault> {
        self.list(Some(len))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<ToList, Fault> {
        Ok(ToList { variant: Some(variant), ..self.inner()?.list(Some(len))? })
    }

    fn serialize_map(self, len: Option<usize>) -> Result<ToMap, Fault> {
        self.map(len)
    }

    fn serialize_struct(self, _: &'static str, len: usize) -> Result<ToMap, Fault> {
        self.map(Some(len))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<ToMap, Fault> {
        Ok(ToMap { variant: Some(variant), ..self.inner()?.map(Some(len))? })
    }
}

struct ToList {
    list: Vec<Value>,
    variant: Option<&'static str>,
    inner: ToValue,
}

impl ToList {
    fn push<T: Serialize + ?Sized>(&mut self, element: &T) -> Result<(), Fault> {
        self.list.push(element.serialize(self.inner)?);
        Ok(())
    }

    fn finish(self) -> Result<Value, Fault> {
        Ok(tagged(self.variant, Value::List(self.list)))
    }
}

macro_rules! list_like {
    ($($trait:ident $push:ident),*) => {$(
        impl ser::$trait for ToList {
            type Ok = Value;
            type Error = Fault;

            fn $push<T: Serialize + ?Sized>(&mut self, element: &T) -> Result<(), Fault> {
                self.push(element)
            }

            fn end(self) -> Result<Value, Fault> {
                self.finish()
            }
        }
    )*};
}

list_like!(
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field
);

struct ToMap {
    map: Vec<(String, Value)>,
    key: Option<String>,
    variant: Option<&'static str>,
    inner: ToValue,
}

impl ToMap {
    fn push<T: Serialize + ?Sized>(&mut self, key: String, value: &T) -> Result<(), Fault> {
        self.map.push((key, value.serialize(self.inner)?));
        Ok(())
    }

    fn finish(self) -> Result<Value, Fault> {
        if has_repeated_key(&self.map) {
            let message = "a map has the same key twice, so one of the values would be lost";
            return Err(Fault::new(ErrorKind::Unsupported, message));
        }
        Ok(tagged(self.variant, Value::Map(self.map)))
    }
}

impl ser::SerializeMap for ToMap {
    type Ok = Value;
    type Error = Fault;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Fault> {
        self.key = Some(key.serialize(ToKey)?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Fault> {
        let order = || Fault::new(ErrorKind::Internal, "a map's value came before its key");
        let key = self.key.take().ok_or_else(order)?;
        self.push(key, value)
    }

    fn end(self) -> Result<Value, Fault> {
        self.finish()
    }
}

macro_rules! struct_like {
    ($($trait:ident),*) => {$(
        impl ser::$trait for ToMap {
            type Ok = Value;
            type Error = Fault;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), Fault> {
                self.push(key.to_owned(), value)
            }

            fn end(self) -> Result<Value, Fault> {
                self.finish()
            }
        }
    )*};
}

struct_like!(SerializeStruct, SerializeStructVariant);
