//! What the tests share.

use std::sync::atomic::{AtomicU64, Ordering};

use loom::future::block_on;
use loom::thread;
use session_core::{
    Bytes, MemoryHandler, Random, Result, Session, SessionHandler, SessionId, SessionKey,
    SessionManager, Version, WriteMode, WriteOptions,
};
use std::time::Duration;

/// Longer than any test.
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// Bytes that are the same in every order: loom repeats what it has seen.
#[derive(Debug, Default)]
struct Counted(AtomicU64);

impl Random for Counted {
    fn fill(&self, buffer: &mut [u8]) -> Result<()> {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        for (at, byte) in buffer.iter_mut().enumerate() {
            *byte = (number as u8).wrapping_mul(31).wrapping_add(at as u8);
        }
        Ok(())
    }
}

/// Returns a manager whose sessions are in the memory.
pub(crate) fn manager() -> SessionManager {
    let random = Counted::default();
    SessionManager::builder(MemoryHandler::new()).random(random).build().unwrap()
}

/// Returns the id of a session that is stored.
pub(crate) fn stored(sessions: &SessionManager) -> SessionId {
    let session = sessions.create();
    session.set("name", "Tom").unwrap();
    block_on(session.save()).unwrap();
    session.id().unwrap()
}

/// Loads a session.
pub(crate) fn load(sessions: &SessionManager, id: &SessionId) -> Session {
    block_on(sessions.load(id)).unwrap()
}

/// Returns a key in a shard of its own.
pub(crate) fn key(n: u8) -> SessionKey {
    SessionKey::from_bytes([n; 32])
}

/// Writes a record.
pub(crate) fn write(
    handler: &MemoryHandler,
    key: &SessionKey,
    options: WriteOptions,
) -> Result<Version> {
    block_on(handler.write(key, Bytes::from_static(b"data"), &options))
}

/// Makes a new record.
pub(crate) fn create(handler: &MemoryHandler, key: &SessionKey) -> Version {
    write(handler, key, WriteOptions::new(WriteMode::Create, HOUR)).unwrap()
}

/// Does two things at once, and returns what came of them.
pub(crate) fn both<A, B>(
    one: impl FnOnce() -> A + Send + 'static,
    other: impl FnOnce() -> B,
) -> (A, B)
where
    A: Send + 'static,
{
    let one = thread::spawn(one);
    let other = other();
    (one.join().unwrap(), other)
}
