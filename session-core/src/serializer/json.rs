//! JSON that loses nothing.

use data_encoding::BASE64;
use serde::de::{DeserializeSeed, Error};
use serde::ser::{self, Serialize, SerializeMap};

use super::{Serializer, limits};
use crate::value::AnySeed;
use crate::{MAX_DEPTH, Result, Value};

/// JSON: for humans, and for sharing with other languages. Feature `json`.
///
/// Ordinary data is ordinary JSON. What JSON lacks is an object with one key that
/// starts with `$`, and a `$` that begins a key of the data is doubled:
///
/// | Value | JSON |
/// | --- | --- |
/// | the bytes `hi` | `{"$bytes":"aGk="}`, in base64 |
/// | infinities | `{"$float":"inf"}`, `{"$float":"-inf"}` |
/// | a `NaN` | `{"$float":"7ff8000000000000"}`, its bits |
/// | the map `{"$set": 1}` | `{"$$set":1}` |
///
/// Every other float has a decimal point or an exponent, so that `1.0` and `1`
/// stay apart, as do `-0.0` and `0.0`. What is written has no white space, what is
/// read may have it. An integer beyond 64 bits, which is never written, is read
/// as a float.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

const BYTES: &str = "$bytes";
const FLOAT: &str = "$float";
/// How serde_json shows every number once any crate of the program enables its
/// feature `arbitrary_precision`.
const NUMBER: &str = "$serde_json::private::Number";

impl Serializer for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn encode(&self, value: &Value, out: &mut Vec<u8>) -> Result<()> {
        limits::encode(self.name(), value, out, |out| {
            Plain(value).serialize(&mut serde_json::Serializer::new(out))
        })
    }

    fn decode(&self, bytes: &[u8]) -> Result<Value> {
        limits::decode(self.name(), bytes, |bytes| {
            let mut from = serde_json::Deserializer::from_slice(bytes);
            let mut value = AnySeed { left: MAX_DEPTH + 1 }.deserialize(&mut from)?;
            from.end()?;
            restore(&mut value, MAX_DEPTH).ok_or_else(|| Error::custom("never written"))?;
            Ok::<_, serde_json::Error>(value)
        })
    }
}

struct Plain<'a>(&'a Value);

impl Serialize for Plain<'_> {
    fn serialize<S: ser::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Bytes(bytes) => escape(to, BYTES, &BASE64.encode(bytes)),
            Value::Float(float) if float.is_infinite() => escape(to, FLOAT, &float.to_string()),
            Value::Float(float) if float.is_nan() => {
                escape(to, FLOAT, &format!("{:016x}", float.to_bits()))
            }
            Value::List(list) => to.collect_seq(list.iter().map(Plain)),
            Value::Map(map) => {
                let mut entries = to.serialize_map(Some(map.len()))?;
                for (key, value) in map {
                    if key.starts_with('$') {
                        entries.serialize_entry(&format!("${key}"), &Plain(value))?;
                    } else {
                        entries.serialize_entry(key, &Plain(value))?;
                    }
                }
                entries.end()
            }
            plain => plain.serialize(to),
        }
    }
}

fn escape<S: ser::Serializer>(to: S, key: &str, text: &str) -> Result<S::Ok, S::Error> {
    let mut object = to.serialize_map(Some(1))?;
    object.serialize_entry(key, text)?;
    object.end()
}

/// Turns what was read as plain JSON into what was written, in place.
///
/// `None` if it cannot have been written: an unknown escape, or too deep. Escapes
/// are objects in JSON and scalars here, so the depth is only known now.
fn restore(value: &mut Value, left: usize) -> Option<()> {
    match value {
        Value::List(list) => {
            let left = left.checked_sub(1)?;
            list.iter_mut().try_for_each(|value| restore(value, left))
        }
        Value::Map(map) => {
            if let [(key, Value::Str(text))] = &map[..]
                && let Some(scalar) = unescape(key, text)
            {
                *value = scalar;
                return Some(());
            }
            let left = left.checked_sub(1)?;
            map.iter_mut().try_for_each(|(key, value)| {
                if key.starts_with('$') {
                    key.remove(0);
                    key.starts_with('$').then_some(())?;
                }
                restore(value, left)
            })
        }
        _ => Some(()),
    }
}

/// Returns what an escape stands for, or `None` if there is no such escape.
fn unescape(key: &str, text: &str) -> Option<Value> {
    match (key, text) {
        (BYTES, _) => BASE64.decode(text.as_bytes()).ok().map(Value::Bytes),
        (FLOAT, "inf") => Some(Value::Float(f64::INFINITY)),
        (FLOAT, "-inf") => Some(Value::Float(f64::NEG_INFINITY)),
        (FLOAT, bits) => u64::from_str_radix(bits, 16)
            .map(f64::from_bits)
            .ok()
            .filter(|float| float.is_nan())
            .map(Value::Float),
        (NUMBER, _) => number(text),
        _ => None,
    }
}

fn number(text: &str) -> Option<Value> {
    match text.parse::<i64>() {
        Ok(int) if text != "-0" => Some(Value::Int(int)),
        _ => match text.parse::<u64>() {
            Ok(uint) => Some(Value::from(uint)),
            Err(_) => text.parse().ok().filter(|float: &f64| float.is_finite()).map(Value::Float),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(value: &Value) -> String {
        let mut out = Vec::new();
        Json.encode(value, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// Golden bytes: if this fails, stored sessions have become unreadable.
    #[test]
    fn wire_format_is_frozen() {
        let map = Value::from_iter([("n", Value::from(-1)), ("s", Value::from("é"))]);
        let golden = [
            (map, r#"{"n":-1,"s":"é"}"#),
            (Value::Null, "null"),
            (Value::from(true), "true"),
            (Value::from(300), "300"),
            (Value::from(u64::MAX), "18446744073709551615"),
            (Value::from(1.0), "1.0"),
            (Value::from(-0.0), "-0.0"),
            (Value::from(f64::INFINITY), r#"{"$float":"inf"}"#),
            (Value::from(f64::NEG_INFINITY), r#"{"$float":"-inf"}"#),
            (Value::from(f64::from_bits(0x7ff8 << 48)), r#"{"$float":"7ff8000000000000"}"#),
            (Value::from(""), r#""""#),
            (Value::Bytes(b"hi".to_vec()), r#"{"$bytes":"aGk="}"#),
            (Value::from([false]), "[false]"),
            (Value::Map(Vec::new()), "{}"),
            (Value::from_iter([("$set", 1)]), r#"{"$$set":1}"#),
            (Value::from_iter([("$$bytes", "")]), r#"{"$$$bytes":""}"#),
        ];
        for (value, text) in golden {
            assert_eq!(json(&value), text);
            assert_eq!(Json.decode(text.as_bytes()).unwrap(), value, "{text}");
        }
    }

    #[test]
    fn data_that_looks_like_an_escape_stays_data() {
        for key in [BYTES, FLOAT, NUMBER, "$", "$$"] {
            let value = Value::from_iter([(key, "1")]);
            assert_eq!(Json.decode(json(&value).as_bytes()).unwrap(), value, "{key}");
        }
    }

    #[test]
    fn numbers_are_read_in_a_program_with_arbitrary_precision() {
        let numbers = [
            ("7", Value::from(7)),
            ("-0", Value::from(-0.0)),
            ("18446744073709551615", Value::from(u64::MAX)),
            ("1.5e300", Value::from(1.5e300)),
        ];
        for (text, value) in numbers {
            let shown = format!("{{\"{NUMBER}\":\"{text}\"}}");
            assert_eq!(Json.decode(shown.as_bytes()).unwrap(), value, "{text}");
            assert_eq!(Json.decode(text.as_bytes()).unwrap(), value, "{text}");
        }
    }

    #[test]
    fn depth_is_limited_not_the_stack() {
        let nested = |depth: usize| ["[".repeat(depth), "]".repeat(depth)].concat();
        assert!(Json.decode(nested(64).as_bytes()).is_ok());
        for depth in [65, 127, 128, 20_000] {
            assert!(Json.decode(nested(depth).as_bytes()).is_err(), "{depth}");
        }
        assert!(Json.decode(nested(63).replace("[]", r#"[{"$bytes":""}]"#).as_bytes()).is_ok());
        assert!(Json.decode(nested(64).replace("[]", "[{}]").as_bytes()).is_err());
    }

    #[test]
    fn what_encode_never_writes_is_refused() {
        for text in [
            "",
            "nul",
            "1 2",
            "1e400",
            "NaN",
            r#"{"k":1,"k":2}"#,
            r#"{"$bytes":1}"#,
            r#"{"$bytes":"a"}"#,
            r#"{"$bytes":"","more":1}"#,
            r#"{"more":1,"$bytes":""}"#,
            r#"{"$float":"1.5"}"#,
            r#"{"$float":"3ff0000000000000"}"#,
            r#"{"$unknown":""}"#,
            r#""\ud800""#,
        ] {
            assert!(Json.decode(text.as_bytes()).is_err(), "{text}");
        }
    }
}
