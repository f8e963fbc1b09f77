//! A store in a temporary directory, and what one does to it.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use session_core::{
    Bytes, ErrorKind, ManualClock, Result, SessionHandler, SessionKey, Version, WriteMode,
    WriteOptions,
};
use session_file::{Durability, FileConfig, FileHandler};
use tempfile::TempDir;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// A save path with a handler and a clock that moves when told to.
pub(crate) struct Place {
    pub(crate) dir: TempDir,
    pub(crate) clock: ManualClock,
    pub(crate) handler: FileHandler,
}

impl Place {
    /// Makes one that does not wait for the disk.
    pub(crate) fn new() -> Self {
        Self::at(Durability::Process)
    }

    pub(crate) fn at(durability: Durability) -> Self {
        Self::within(TempDir::new().unwrap(), durability)
    }

    pub(crate) fn within(dir: TempDir, durability: Durability) -> Self {
        let clock = ManualClock::new();
        let config = FileConfig::new(dir.path().join("sessions")).with_durability(durability);
        let handler = FileHandler::new(config).unwrap().with_clock(Arc::new(clock.clone()));
        Self { dir, clock, handler }
    }

    /// Makes another handler on the same directory. Like another process, it
    /// shares nothing with the first but the files.
    pub(crate) fn another(&self) -> FileHandler {
        let config = FileConfig::new(self.base()).with_durability(Durability::Process);
        FileHandler::new(config).unwrap().with_clock(Arc::new(self.clock.clone()))
    }

    pub(crate) fn base(&self) -> PathBuf {
        self.dir.path().join("sessions")
    }

    /// Returns where the record of a key lies.
    pub(crate) fn file(&self, key: &SessionKey) -> PathBuf {
        let name = key.to_string();
        self.base().join(&name[..2]).join(name)
    }

    /// Returns the names in the shard of a key, sorted.
    pub(crate) fn names(&self, key: &SessionKey) -> Vec<String> {
        let shard = self.file(key);
        let entries = fs::read_dir(shard.parent().unwrap()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    pub(crate) async fn read(&self, key: &SessionKey) -> Option<Bytes> {
        self.handler.read(key).await.unwrap().map(|stored| stored.payload)
    }
}

pub(crate) const fn key(number: u8) -> SessionKey {
    SessionKey::from_bytes([number; 32])
}

pub(crate) fn creating() -> WriteOptions {
    WriteOptions::new(WriteMode::Create, HOUR)
}

pub(crate) fn replacing() -> WriteOptions {
    WriteOptions::new(WriteMode::Replace, HOUR)
}

pub(crate) fn at_version(version: Version) -> WriteOptions {
    WriteOptions::new(WriteMode::IfVersion(version), HOUR)
}

pub(crate) async fn create(handler: &FileHandler, key: &SessionKey, payload: &'static [u8]) {
    handler.write(key, Bytes::from_static(payload), &creating()).await.unwrap();
}

pub(crate) fn kind<T>(result: Result<T>) -> ErrorKind {
    result.err().expect("an error").kind()
}
