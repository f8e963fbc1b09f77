//! The serializers.

use session_core::{Bincode, ErrorKind, Json, MessagePack, Operation, Postcard, Serializer, Value};

/// What decodes encodes again and decodes to the same; all else is an error
/// that says nothing of the bytes.
fn serializer(serializer: &dyn Serializer, bytes: &[u8]) {
    match serializer.decode(bytes) {
        Ok(value) => {
            let mut again = Vec::new();
            match serializer.encode(&value, &mut again) {
                Ok(()) => {
                    let second = serializer.decode(&again).expect("what was encoded decodes");
                    assert_eq!(second, value);
                }
                // A map with one key twice is refused on its way out.
                Err(err) => assert_eq!(err.operation(), Operation::Encode, "{err}"),
            }
            assert_eq!(value.clone(), value);
            types(&value);
        }
        Err(err) => {
            assert_eq!((err.kind(), err.operation()), (ErrorKind::Corrupt, Operation::Decode));
            assert!(std::error::Error::source(&err).is_none());
        }
    }
}

/// Reads a value as types that it may or may not be.
fn types(value: &Value) {
    drop(value.deserialize::<u8>());
    drop(value.deserialize::<i128>());
    drop(value.deserialize::<f64>());
    drop(value.deserialize::<String>());
    drop(value.deserialize::<Option<(bool, char)>>());
    drop(value.deserialize::<Vec<Vec<u8>>>());
    drop(value.deserialize::<std::collections::BTreeMap<String, serde_json::Value>>());
    let same = value.deserialize::<Value>().expect("any value is a value");
    assert_eq!(same, *value);
}

/// The default serializer.
pub fn bincode(bytes: &[u8]) {
    serializer(&Bincode, bytes);
}

/// Postcard.
pub fn postcard(bytes: &[u8]) {
    serializer(&Postcard, bytes);
}

/// `MessagePack`.
pub fn msgpack(bytes: &[u8]) {
    serializer(&MessagePack, bytes);
}

/// JSON.
pub fn json(bytes: &[u8]) {
    serializer(&Json, bytes);
}
