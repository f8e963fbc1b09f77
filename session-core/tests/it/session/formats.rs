//! A store whose sessions were written by another serializer.

use session_core::{
    Bincode, Error, ErrorKind, MemoryHandler, Operation, Result, Serializer, Serializers, Session,
    SessionManager, Value,
};

/// Cannot express bytes.
#[derive(Debug)]
struct NoBytes;

impl Serializer for NoBytes {
    fn name(&self) -> &'static str {
        "no-bytes"
    }

    fn encode(&self, value: &Value, out: &mut Vec<u8>) -> Result<()> {
        if matches!(value, Value::Bytes(_)) {
            out.extend_from_slice(b"begun");
            return Err(Error::new(ErrorKind::Unsupported, Operation::Encode, "no bytes"));
        }
        Bincode.encode(value, out)
    }

    fn decode(&self, bytes: &[u8]) -> Result<Value> {
        Bincode.decode(bytes)
    }
}

/// Stores a session, and loads it in a program that writes in another format.
async fn stored(serializers: Serializers, fill: impl FnOnce(&Session)) -> Session {
    let store = MemoryHandler::new();
    let session = SessionManager::new(store.clone()).create();
    fill(&session);
    session.save().await.unwrap();
    let new = SessionManager::builder(store).serializers(serializers).build().unwrap();
    new.load(&session.id().unwrap()).await.unwrap()
}

#[tokio::test]
async fn an_untouched_value_that_the_new_format_cannot_express_stays_as_it_is() {
    let avatar = Value::Bytes(vec![1, 2, 3]);
    let session =
        stored(Serializers::new(NoBytes), |s| s.set("avatar", avatar.clone()).unwrap()).await;
    session.bind("tom").unwrap();
    session.save().await.unwrap();
    session.regenerate().unwrap();
    session.save().await.unwrap();
    session.reload().await.unwrap();
    assert_eq!(session.get::<Value>("avatar").unwrap(), Some(avatar));
    let refused = session.set("avatar", Value::Bytes(vec![4])).map(|()| session.save());
    assert_eq!(refused.unwrap().await.unwrap_err().kind(), ErrorKind::Unsupported);
}

#[cfg(feature = "json")]
#[tokio::test]
async fn a_session_that_the_new_format_makes_too_large_is_saved_all_the_same() {
    for (parts, len) in [(1, 1 << 20), (4, 1 << 18)] {
        let session = stored(Serializers::by_name("json").unwrap(), |s| {
            for part in 0..parts {
                s.set(&part.to_string(), Value::Bytes(vec![1; len])).unwrap();
            }
        })
        .await;
        session.set("n", 1).unwrap();
        session.save().await.unwrap();
        session.regenerate().unwrap();
        session.save().await.unwrap();
        session.reload().await.unwrap();
        let last = (parts - 1).to_string();
        assert_eq!(session.get::<Value>(&last).unwrap(), Some(Value::Bytes(vec![1; len])));
        assert_eq!(session.get::<i64>("n").unwrap(), Some(1));
    }
}
