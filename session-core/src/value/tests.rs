use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::*;
use crate::{ErrorKind, Operation};

fn stored<T: Serialize + ?Sized>(from: &T) -> Value {
    Value::from_serialize(from).unwrap()
}

fn read<T: DeserializeOwned>(value: &Value) -> T {
    value.deserialize().unwrap()
}

#[track_caller]
fn mismatch<T: DeserializeOwned>(value: &Value) -> String {
    let error = value.deserialize::<T>().err().expect("another type");
    assert_eq!(error.kind(), ErrorKind::TypeMismatch);
    assert_eq!(error.operation(), Operation::Decode);
    error.to_string()
}

#[track_caller]
fn refused<T: Serialize + ?Sized>(from: &T, kind: ErrorKind) {
    let error = Value::from_serialize(from).unwrap_err();
    assert_eq!((error.kind(), error.operation()), (kind, Operation::Encode));
}

#[track_caller]
fn returns<T: Serialize + DeserializeOwned + PartialEq + fmt::Debug>(from: &T) {
    assert_eq!(&read::<T>(&stored(from)), from);
}

#[test]
fn equality_is_that_of_what_is_stored() {
    assert_eq!(Value::from(f64::NAN), Value::from(f64::NAN));
    assert_ne!(Value::from(f64::NAN), Value::from(-f64::NAN));
    assert_ne!(Value::from(0.0), Value::from(-0.0));
    assert_ne!(Value::from(1.0), Value::from(1));
    assert_eq!(Value::Uint(1), Value::Int(1));
    assert_ne!(Value::Uint(u64::MAX), Value::Int(-1));
    assert_ne!(Value::from_iter([("a", 1), ("b", 2)]), Value::from_iter([("b", 2), ("a", 1)]));
    assert_ne!(Value::from("a"), Value::Bytes(b"a".to_vec()));
}

#[test]
fn debug_shows_the_shape_and_no_content() {
    let secret = Value::from_iter([("hunter2", "hunter2")]);
    let list = Value::from(vec![secret.clone(), Value::from("hunter2")]);
    assert_eq!(
        format!("{secret:?} {list:?} {:?}", Value::from("hunter2")),
        "Map(1) List(2) Str(7)"
    );
}

#[test]
fn accessors_answer_for_their_type_only() {
    assert_eq!(Value::from(-1).as_i64(), Some(-1));
    assert_eq!(Value::from(-1).as_u64(), None);
    assert_eq!(Value::from(u64::MAX).as_u64(), Some(u64::MAX));
    assert_eq!(Value::from(u64::MAX).as_i64(), None);
    assert_eq!(Value::from(1).as_f64(), None);
    assert_eq!(Value::from("a").as_str(), Some("a"));
    assert_eq!(Value::from("a").as_bytes(), None);
    assert_eq!(Value::from_iter([("a", 1)]).get("a"), Some(&Value::from(1)));
    assert_eq!(Value::from_iter([("a", 1)]).get("b"), None);
    assert_eq!(Value::Null.get("a"), None);
    assert_eq!(Value::from(None::<u8>), Value::default());
}

#[test]
fn integers_pick_one_variant() {
    assert!(matches!(Value::from(i64::MAX as u64), Value::Int(i64::MAX)));
    assert!(matches!(Value::from(i64::MAX as u64 + 1), Value::Uint(_)));
    assert!(matches!(stored(&7u128), Value::Int(7)));
    assert!(matches!(stored(&i128::from(u64::MAX)), Value::Uint(u64::MAX)));
    refused(&(u128::from(u64::MAX) + 1), ErrorKind::Unsupported);
    refused(&(i128::from(i64::MIN) - 1), ErrorKind::Unsupported);
}

#[test]
fn every_json_value_returns_as_it_was() {
    let value = json!({
        "null": null, "bool": [true, false], "text": "é\u{0}\"", "empty": [{}, [], ""],
        "numbers": [0, -1, i64::MIN, u64::MAX, 0.0, -0.0, 1.0, 1e300, 5e-324, 0.1],
        "nested": {"": {"$bytes": "no escape here"}},
    });
    let back: serde_json::Value = read(&stored(&value));
    assert_eq!(back.to_string(), value.to_string());
    assert_eq!(serde_json::from_str::<Value>(&value.to_string()).unwrap(), stored(&value));
    assert_eq!(serde_json::to_value(stored(&value)).unwrap(), value);
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Unit,
    New(u8),
    Tuple(u8, String),
    Struct { a: Option<u8> },
}

#[test]
fn rust_types_return_as_they_were() {
    returns(&(u64::MAX, i64::MIN, i128::from(u64::MAX), 7u128));
    returns(&(1.5f32, f32::MIN_POSITIVE, f64::MAX, 'é', String::from("é")));
    returns(&(None::<u8>, Some(1), Some(()).is_some(), ()));
    returns(&[Shape::Unit, Shape::New(1), Shape::Tuple(1, "a".into()), Shape::Struct { a: None }]);
    returns(&BTreeMap::from([(1u8, -1i8), (255, 0)]));
    returns(&BTreeMap::from([(i64::MIN, Some(true)), (0, None)]));
    returns(&BTreeMap::from([(true, 'x'), (false, 'y')]));
    returns(&HashMap::from([('a', Ipv4Addr::LOCALHOST)]));
    returns(&BTreeMap::from([(u128::MAX, ())]));
    returns(&std::time::Duration::new(1, 2));
    returns(&Ok::<u8, String>(1));
    assert!(read::<f64>(&stored(&f64::NAN)).is_nan());
    assert!(read::<f32>(&stored(&f32::NAN)).is_nan());
    assert!(read::<f64>(&stored(&-0.0)).is_sign_negative());
}

#[test]
fn strings_and_bytes_are_borrowed_where_possible() {
    let value = Value::from_iter([("a", "text")]);
    let map: BTreeMap<&str, &str> = value.deserialize().unwrap();
    assert_eq!(map["a"], "text");
    assert_eq!(Value::Bytes(vec![1]).deserialize::<&[u8]>().unwrap(), [1]);
}

#[test]
fn a_value_passes_through_serde_unchanged() {
    let value = Value::from_iter([
        ("bytes", Value::Bytes(vec![0])),
        ("nan", Value::from(f64::NAN)),
        ("max", Value::from(u64::MAX)),
        ("list", Value::from(vec![Value::Null, Value::from(-0.0)])),
    ]);
    assert_eq!(stored(&value), value);
    assert_eq!(read::<Value>(&value), value);
}

#[test]
fn an_integer_converts_only_if_no_bit_is_lost() {
    assert_eq!(read::<u8>(&Value::from(255)), 255);
    assert_eq!(read::<f64>(&Value::from(1i64 << 53)), 9_007_199_254_740_992.0);
    assert_eq!(read::<f32>(&Value::from(1.5)), 1.5);
    mismatch::<u8>(&Value::from(256));
    mismatch::<u64>(&Value::from(-1));
    mismatch::<i64>(&Value::from(u64::MAX));
    mismatch::<f64>(&Value::from((1i64 << 53) + 1));
    mismatch::<f64>(&Value::from(i64::MAX));
    mismatch::<f32>(&Value::from((1 << 24) + 1));
    mismatch::<f32>(&Value::from(0.1));
    mismatch::<u8>(&Value::from(1.0));
    mismatch::<i128>(&Value::from(1.0));
}

#[test]
fn another_type_is_an_error_and_never_a_value() {
    let pair = stored(&(300u32, "hunter2"));
    mismatch::<u64>(&pair);
    mismatch::<(u32,)>(&pair);
    mismatch::<(u32, String, u8)>(&pair);
    mismatch::<String>(&Value::from(1));
    mismatch::<bool>(&Value::from(1));
    mismatch::<u8>(&Value::from("1"));
    mismatch::<char>(&Value::from("ab"));
    mismatch::<String>(&Value::Null);
    mismatch::<()>(&Value::from(1));
    mismatch::<BTreeMap<u8, u8>>(&Value::from_iter([("007", 1)]));
    mismatch::<BTreeMap<i8, u8>>(&Value::from_iter([("+7", 1)]));
    mismatch::<Shape>(&Value::from("New"));
    mismatch::<Shape>(&Value::from_iter([("Unit", 1)]));
    mismatch::<Shape>(&Value::from_iter([("Unit", 1), ("New", 1)]));
    mismatch::<Shape>(&Value::from(1));
}

#[test]
fn no_error_quotes_the_data() {
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code)]
    struct Strict {
        known: u8,
    }
    let secret = "hunter2";
    let text = Value::from(secret);
    let errors = [
        mismatch::<u8>(&text),
        mismatch::<char>(&text),
        mismatch::<Shape>(&text),
        mismatch::<Ipv4Addr>(&text),
        mismatch::<std::num::NonZeroU8>(&text),
        mismatch::<Strict>(&Value::from_iter([(secret, 1)])),
        mismatch::<Strict>(&Value::from_iter([("known", secret)])),
        mismatch::<BTreeMap<u8, u8>>(&Value::from_iter([(secret, 1)])),
    ];
    for error in errors {
        assert!(!error.contains(secret), "{error}");
    }
    let error = mismatch::<u8>(&text);
    assert!(error.contains("found string, expected u8") && error.contains("`u8`"), "{error}");
    assert!(mismatch::<Strict>(&Value::Map(Vec::new())).contains("`known` is missing"));
}

/// What a release adds to a stored struct, and what formats without types of
/// their own trip over.
mod evolution {
    use super::*;

    #[derive(Serialize)]
    struct Old {
        a: u8,
        #[serde(skip_serializing_if = "Option::is_none")]
        b: Option<u8>,
        last: u8,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct New {
        a: u8,
        #[serde(default)]
        b: Option<u8>,
        last: u8,
        #[serde(default)]
        c: Option<u64>,
        #[serde(default = "seven")]
        d: u8,
    }

    fn seven() -> u8 {
        7
    }

    #[test]
    fn new_fields_have_defaults_and_skipped_ones_are_absent() {
        let old = stored(&Old { a: 1, b: None, last: 3 });
        assert_eq!(read::<New>(&old), New { a: 1, b: None, last: 3, c: None, d: 7 });
        let old = stored(&Old { a: 1, b: Some(2), last: 3 });
        assert_eq!(read::<New>(&old).b, Some(2));
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Number(i64),
        Text(String),
        Many(Vec<Self>),
        Named { name: String },
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "type")]
    enum Internal {
        A { x: u8 },
        B,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "t", content = "c")]
    enum Adjacent {
        A(u8, u8),
        B,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Flat {
        id: u64,
        #[serde(flatten)]
        inner: Inner,
        #[serde(flatten)]
        rest: BTreeMap<String, serde_json::Value>,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Inner {
        x: Option<f64>,
    }

    #[test]
    fn every_enum_representation_returns() {
        returns(&vec![
            Untagged::Number(-1),
            Untagged::Text("a".into()),
            Untagged::Many(vec![Untagged::Named { name: "n".into() }]),
        ]);
        returns(&[Internal::A { x: 1 }, Internal::B]);
        returns(&[Adjacent::A(1, 2), Adjacent::B]);
    }

    #[test]
    fn flattened_fields_return() {
        let rest = BTreeMap::from([("more".to_owned(), json!([1, {"deep": null}]))]);
        returns(&Flat { id: u64::MAX, inner: Inner { x: Some(0.5) }, rest });
    }

    #[test]
    fn a_field_stored_twice_is_refused_and_not_lost() {
        let rest = BTreeMap::from([("id".to_owned(), json!(2))]);
        refused(&Flat { id: 1, inner: Inner { x: None }, rest }, ErrorKind::Unsupported);
    }
}

fn nested(depth: usize) -> Value {
    (0..depth).fold(Value::Null, |value, i| match i % 2 {
        0 => Value::from(vec![value]),
        _ => Value::from_iter([("k", value)]),
    })
}

#[test]
fn depth_is_limited_both_ways() {
    assert_eq!(stored(&nested(MAX_DEPTH)), nested(MAX_DEPTH));
    refused(&nested(MAX_DEPTH + 1), ErrorKind::TooLarge);
    let json = |depth: usize| ["[".repeat(depth), "]".repeat(depth)].concat();
    assert!(serde_json::from_str::<Value>(&json(MAX_DEPTH)).is_ok());
    assert!(serde_json::from_str::<Value>(&json(MAX_DEPTH + 1)).is_err());

    #[derive(Serialize)]
    enum Chain {
        End,
        Next(Box<Self>),
    }
    let chain = |depth| (0..depth).fold(Chain::End, |next, _| Chain::Next(Box::new(next)));
    assert!(Value::from_serialize(&chain(MAX_DEPTH)).is_ok());
    refused(&chain(MAX_DEPTH + 1), ErrorKind::TooLarge);
}

#[test]
fn keys_become_strings_or_are_refused() {
    refused(&HashMap::from([(vec![1], 1)]), ErrorKind::Unsupported);
    refused(&HashMap::from([((), 1)]), ErrorKind::Unsupported);
    assert!(serde_json::from_str::<Value>(r#"{"a":1,"a":2}"#).is_err());
    let many = |last: &str| {
        let keys = (0..100).map(|i| i.to_string()).chain([last.to_owned()]);
        Value::from_iter(keys.map(|key| (key, 1)))
    };
    assert_eq!(stored(&many("100")), many("100"));
    refused(&many("7"), ErrorKind::Unsupported);
}
