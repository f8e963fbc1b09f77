//! The record around the values of a session.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use session_core::testkit::ScriptedRandom;
use session_core::{
    Bytes, Error, ErrorKind, GcReport, GcRequest, HandlerInfo, Operation, Result, SessionHandler,
    SessionId, SessionKey, SessionManager, Status, Stored, Version, WriteOptions, async_trait,
};

use crate::wait;

/// Where the bytes lie by which a record knows its key.
const KEY: std::ops::Range<usize> = 5..13;

/// Returns the id that the records are stored under.
pub(crate) fn id() -> SessionId {
    SessionId::generate(&ScriptedRandom::new([1])).expect("a draw is there")
}

/// A store that holds one record, under every key.
#[derive(Debug)]
struct Planted {
    info: HandlerInfo,
    record: Mutex<Bytes>,
}

impl Planted {
    fn record(&self) -> std::sync::MutexGuard<'_, Bytes> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl SessionHandler for Planted {
    fn info(&self) -> &HandlerInfo {
        &self.info
    }

    async fn read(&self, key: &SessionKey) -> Result<Option<Stored>> {
        // A pointer leads to another key, where there is nothing.
        let own = *key == SessionKey::of(&id());
        let stored = || {
            let lives_on = Duration::from_secs(600);
            Stored::new(self.record().clone(), Version::counter(1)).with_remaining(lives_on)
        };
        Ok(own.then(stored))
    }

    async fn write(&self, _: &SessionKey, payload: Bytes, _: &WriteOptions) -> Result<Version> {
        *self.record() = payload;
        Ok(Version::counter(1))
    }

    async fn touch(&self, _: &SessionKey, _: Duration) -> Result<bool> {
        Ok(true)
    }

    async fn destroy(&self, _: &SessionKey, _: Option<&Version>) -> Result<bool> {
        Err(Error::new(ErrorKind::Unsupported, Operation::Destroy, "nobody asks for it"))
    }

    async fn gc(&self, _: &GcRequest) -> Result<GcReport> {
        Ok(GcReport::default())
    }
}

/// A record is a session or it is absent. A session that is saved keeps each
/// value that was not touched.
pub fn frame(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    // Else nearly all inputs end here.
    if let Some(own) = bytes.get_mut(KEY) {
        own.copy_from_slice(&SessionKey::of(&id()).as_bytes()[..8]);
    }
    let planted =
        Planted { info: HandlerInfo::new("planted"), record: Mutex::new(Bytes::from(bytes)) };
    let sessions = SessionManager::new(planted);
    wait(async {
        let session = sessions.load(&id()).await.expect("the store answers");
        assert!(matches!(session.status(), Status::Loaded | Status::Unknown | Status::Expired));
        if session.status() != Status::Loaded {
            return;
        }
        let values = |session: &session_core::Session| {
            let keys = session.keys().expect("keys");
            let values = keys.iter().filter(|key| *key != "touched");
            let value = |key: &String| session.get::<session_core::Value>(key.as_str()).ok();
            values.map(|key| (key.clone(), value(key))).collect::<Vec<_>>()
        };
        let before = values(&session);
        if session.set("touched", 1).is_err() || session.save().await.is_err() {
            return;
        }
        let again = sessions.load(&id()).await.expect("the store answers");
        assert_eq!(again.status(), Status::Loaded, "what was saved is a session");
        assert_eq!(values(&again), before);
    });
}
