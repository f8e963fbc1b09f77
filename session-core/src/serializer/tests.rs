//! What holds for every serializer that is compiled in.

use proptest::prelude::*;

use super::serializers::compiled_in;
use super::*;
use crate::{Error, ErrorKind, MAX_DEPTH, Operation};

#[track_caller]
fn bytes(serializer: &dyn Serializer, value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    serializer.encode(value, &mut out).unwrap();
    out
}

#[track_caller]
fn refused(result: Result<Value>) {
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Corrupt, Operation::Decode));
}

/// One of everything; no prefix of its encoding is a value.
fn sample() -> Value {
    Value::from_iter([
        ("null", Value::Null),
        ("bools", Value::from([true, false])),
        ("ints", Value::from([0, -1, i64::MIN, i64::MAX])),
        ("uint", Value::from(u64::MAX)),
        ("floats", Value::from([0.1, -0.0, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE])),
        ("text", Value::from("é\u{0}\"\\")),
        ("bytes", Value::Bytes(vec![0, 0xff])),
        ("$escape", Value::from_iter([("$$", Value::Map(Vec::new()))])),
    ])
}

fn nested(depth: usize) -> Value {
    (0..depth).fold(Value::Bytes(vec![1]), |value, i| match i % 2 {
        0 => Value::from(vec![value]),
        _ => Value::from_iter([("$", value)]),
    })
}

fn any_value() -> impl Strategy<Value = Value> {
    let float = prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        any::<i32>().prop_map(f64::from),
        Just(-0.0),
        Just(f64::NAN),
    ];
    let key = prop_oneof!["[a-z]{0,3}", "[$]{0,3}(bytes|float)?", any::<String>()];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i8>().prop_map(Value::from),
        any::<u64>().prop_map(Value::Uint),
        float.prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        any::<Vec<u8>>().prop_map(Value::Bytes),
    ];
    leaf.prop_recursive(8, 64, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::List),
            proptest::collection::btree_map(key.clone(), inner, 0..6).prop_map(Value::from_iter),
        ]
    })
}

proptest! {
    #[test]
    fn any_value_returns_as_it_was(value in any_value()) {
        for serializer in compiled_in() {
            let bytes = bytes(&*serializer, &value);
            prop_assert_eq!(&serializer.decode(&bytes)?, &value, "{}", serializer.name());
        }
    }

    #[test]
    fn any_bytes_are_a_value_or_an_error(bytes: Vec<u8>) {
        for serializer in compiled_in() {
            let _: Result<Value> = serializer.decode(&bytes);
        }
    }
}

#[test]
fn a_truncated_value_is_refused_at_every_length() {
    for serializer in compiled_in() {
        let bytes = bytes(&*serializer, &sample());
        assert_eq!(serializer.decode(&bytes).unwrap(), sample());
        for len in 0..bytes.len() {
            refused(serializer.decode(&bytes[..len]));
        }
    }
}

#[test]
fn trailing_bytes_are_refused() {
    for serializer in compiled_in() {
        let whole = bytes(&*serializer, &sample());
        for byte in 0..=255u8 {
            if serializer.name() == "json" && byte.is_ascii_whitespace() && byte != b'\x0c' {
                continue;
            }
            refused(serializer.decode(&[&whole[..], &[byte]].concat()));
        }
    }
}

/// What a damaged byte turns into may be a value, and is then stored as one.
#[test]
fn a_changed_byte_gives_a_value_or_an_error() {
    for serializer in compiled_in() {
        let whole = bytes(&*serializer, &sample());
        for at in 0..whole.len() {
            for byte in 0..=255 {
                let mut damaged = whole.clone();
                damaged[at] = byte;
                match serializer.decode(&damaged) {
                    Ok(value) => {
                        let again = serializer.decode(&bytes(&*serializer, &value));
                        assert_eq!(again.unwrap(), value, "{} {at} {byte}", serializer.name());
                    }
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt),
                }
            }
        }
    }
}

#[test]
fn depth_is_limited_on_the_way_out_too() {
    for serializer in compiled_in() {
        let deepest = nested(MAX_DEPTH);
        assert_eq!(serializer.decode(&bytes(&*serializer, &deepest)).unwrap(), deepest);

        let mut out = b"before".to_vec();
        let error = serializer.encode(&nested(MAX_DEPTH + 1), &mut out).unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::TooLarge, Operation::Encode));
        assert_eq!(out, b"before");
    }
}

/// Nesting that would need gigabytes of stack, on a stack of 512 KiB.
#[test]
fn a_small_stack_is_enough_for_hostile_nesting() {
    const TIMES: usize = 1_000_000;
    let small = std::thread::Builder::new().stack_size(512 << 10);
    let work = || {
        for serializer in compiled_in() {
            let (list, map): (&[u8], &[u8]) = match serializer.name() {
                "json" => (b"[", b"{\"k\":"),
                "msgpack" => (&[0x91], &[0x81, 0xa1, b'k']),
                _ => (&[7, 1], &[8, 1, 1, b'k']),
            };
            for open in [list, map] {
                refused(serializer.decode(&open.repeat(TIMES)));
            }
            let deepest = nested(MAX_DEPTH);
            let copy = serializer.decode(&bytes(&*serializer, &deepest)).unwrap().clone();
            assert_eq!(copy.deserialize::<Value>().unwrap(), deepest);
        }
    };
    small.spawn(work).unwrap().join().unwrap();
}

#[test]
fn length_is_limited_both_ways() {
    let too_long = [
        Value::Bytes(vec![0; MAX_ENCODED_LEN + 1]),
        Value::Str("\u{1}".repeat(MAX_ENCODED_LEN)),
        Value::List(vec![Value::Null; MAX_ENCODED_LEN]),
        Value::from_iter([("k".repeat(MAX_ENCODED_LEN), 1)]),
    ];
    for serializer in compiled_in() {
        for value in &too_long {
            let mut out = b"before".to_vec();
            let error = serializer.encode(value, &mut out).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TooLarge, "{} {value:?}", serializer.name());
            assert_eq!(out, b"before");
        }
        let long = Value::Str("a".repeat(MAX_ENCODED_LEN - 8));
        assert_eq!(serializer.decode(&bytes(&*serializer, &long)).unwrap(), long);
        refused(serializer.decode(&vec![b' '; MAX_ENCODED_LEN + 1]));
    }
}

#[test]
fn a_repeated_key_is_refused_before_it_is_lost() {
    for serializer in compiled_in() {
        let twice = Value::from_iter([("k", 1), ("k", 2)]);
        let error = serializer.encode(&twice, &mut Vec::new()).unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Unsupported, Operation::Encode));
    }
}

#[test]
fn no_error_quotes_the_stored_bytes() {
    for serializer in compiled_in() {
        let mut damaged = bytes(&*serializer, &Value::from("hunter2"));
        damaged.push(0);
        let error = serializer.decode(&damaged).unwrap_err();
        assert!(std::error::Error::source(&error).is_none());
        assert!(!error.to_string().contains("hunter2"));
        assert!(error.to_string().contains(serializer.name()));
    }
}

/// A format of one value, as a third party might write it.
#[derive(Debug)]
struct Constant(&'static str);

impl Serializer for Constant {
    fn name(&self) -> &'static str {
        self.0
    }

    fn encode(&self, value: &Value, _: &mut Vec<u8>) -> Result<()> {
        let unsupported = Error::new(ErrorKind::Unsupported, Operation::Encode, "only null");
        if value.is_null() { Ok(()) } else { Err(unsupported) }
    }

    fn decode(&self, _: &[u8]) -> Result<Value> {
        Ok(Value::Null)
    }
}

#[test]
fn whichever_writes_every_one_that_is_compiled_in_reads() {
    for written in compiled_in() {
        let bytes = bytes(&*written, &sample());
        for now in compiled_in() {
            let serializers = Serializers::by_name(now.name()).unwrap();
            assert_eq!(serializers.writer().name(), now.name());
            let reader = serializers.reader(written.name()).unwrap();
            assert_eq!(reader.decode(&bytes).unwrap(), sample());
        }
        let own = Serializers::new(Constant("own"));
        assert_eq!(own.writer().name(), "own");
        assert!(own.reader(written.name()).is_ok());
    }
}

#[test]
fn the_default_writes_with_the_first_that_is_compiled_in() {
    let first = compiled_in().first().map_or("none", |serializer| serializer.name());
    assert_eq!(Serializers::default().writer().name(), first);
    if cfg!(feature = "bincode") {
        assert_eq!(first, "bincode");
    }
    if first == "none" {
        let error = Serializers::default().writer().encode(&Value::Null, &mut Vec::new());
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Unsupported);
    }
}

#[test]
fn unknown_and_absent_serializers_are_told_apart() {
    for name in ["bincode", "postcard", "msgpack", "json"] {
        let there = compiled_in().iter().any(|serializer| serializer.name() == name);
        let Err(error) = Serializers::by_name(name) else {
            assert!(there, "{name}");
            continue;
        };
        assert!(!there, "{name}");
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert!(error.to_string().contains(&format!("feature `{name}`")), "{error}");
        let unreadable = Serializers::default().reader(name).unwrap_err();
        assert_eq!(unreadable.kind(), ErrorKind::Unsupported);
    }
    let serializers = Serializers::default().with_reader(Constant("own"));
    let error = serializers.with_writer("bincoed").unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::InvalidConfig, Operation::Configure));
    for serializer in compiled_in() {
        assert!(error.to_string().contains(serializer.name()), "{error}");
    }
    assert!(error.to_string().contains("own"), "{error}");
}

#[test]
fn readers_can_be_added_replaced_and_made_the_writer() {
    let serializers = Serializers::new(Constant("a")).with_reader(Constant("b"));
    let serializers = serializers.with_reader(Constant("b")).with_writer("b").unwrap();
    assert_eq!(serializers.writer().name(), "b");
    assert!(serializers.reader("a").is_ok(), "the writer until now keeps reading");
    let names: Vec<_> = serializers.names().collect();
    assert_eq!(names.iter().filter(|name| **name == "b").count(), 1);
    assert_eq!(serializers.reader("c").unwrap_err().kind(), ErrorKind::Unsupported);
}
