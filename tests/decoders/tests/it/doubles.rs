//! Serializers that are wrong in one way each, to show that the checks notice.

use session_core::{
    Bincode, Error, ErrorKind, Json, MAX_DEPTH, MAX_ENCODED_LEN, MessagePack, Operation, Postcard,
    Result, Serializer, Value,
};

/// Checks that a serializer has its limits. Returns what it takes that it must not.
fn excess(serializer: &dyn Serializer, nest: fn(usize) -> Vec<u8>) -> Option<&'static str> {
    if serializer.decode(&nest(MAX_DEPTH)).is_err() {
        return Some("less than the deepest");
    }
    if serializer.decode(&nest(MAX_DEPTH + 1)).is_ok() {
        return Some("deeper than the deepest");
    }
    let mut long = Vec::new();
    let within = Value::Bytes(vec![7; MAX_ENCODED_LEN / 2]);
    if serializer.encode(&within, &mut long).is_err() {
        return Some("less than the longest");
    }
    let mut out = Vec::new();
    if serializer.encode(&Value::Bytes(vec![7; MAX_ENCODED_LEN + 1]), &mut out).is_ok() {
        return Some("longer than the longest");
    }
    None
}

/// What wraps nothing into so many lists.
fn json(depth: usize) -> Vec<u8> {
    [b"[".repeat(depth), b"null".to_vec(), b"]".repeat(depth)].concat()
}

fn msgpack(depth: usize) -> Vec<u8> {
    [[0x91].repeat(depth), vec![0xc0]].concat()
}

fn tagged(depth: usize) -> Vec<u8> {
    [[7, 1].repeat(depth), vec![0]].concat()
}

#[test]
fn every_serializer_has_its_limits() {
    assert_eq!(excess(&Json, json), None);
    assert_eq!(excess(&MessagePack, msgpack), None);
    assert_eq!(excess(&Bincode, tagged), None);
    assert_eq!(excess(&Postcard, tagged), None);
}

/// Lists of nothing, in the manner of JSON, without one of the limits.
#[derive(Debug)]
struct Careless {
    depth: bool,
    bytes: bool,
}

impl Serializer for Careless {
    fn name(&self) -> &'static str {
        "careless"
    }

    fn encode(&self, value: &Value, out: &mut Vec<u8>) -> Result<()> {
        match value {
            Value::Bytes(bytes) if self.bytes && bytes.len() > MAX_ENCODED_LEN => {
                Err(Error::new(ErrorKind::TooLarge, Operation::Encode, "too long"))
            }
            Value::Bytes(bytes) => {
                out.extend(bytes);
                Ok(())
            }
            _ => Err(Error::new(ErrorKind::Unsupported, Operation::Encode, "bytes only")),
        }
    }

    fn decode(&self, bytes: &[u8]) -> Result<Value> {
        let depth = bytes.iter().take_while(|byte| **byte == b'[').count();
        if self.depth && depth > MAX_DEPTH {
            return Err(Error::new(ErrorKind::Corrupt, Operation::Decode, "too deep"));
        }
        Ok((0..depth).fold(Value::Null, |value, _| Value::List(vec![value])))
    }
}

#[test]
fn a_missing_limit_is_noticed() {
    assert_eq!(excess(&Careless { depth: true, bytes: true }, json), None);
    let deep = excess(&Careless { depth: false, bytes: true }, json);
    assert_eq!(deep, Some("deeper than the deepest"));
    let long = excess(&Careless { depth: true, bytes: false }, json);
    assert_eq!(long, Some("longer than the longest"));
}
