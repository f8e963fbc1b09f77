//! A time of day that tests move.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

use super::Result;
use super::programs::Installed;

/// A time of day for servers, which goes as the machine's does until it is
/// stopped, and then moves when the test moves it. Clones are the same clock.
///
/// Timers of the servers are not changed: they go on whatever the time of day is.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    directory: TempDir,
    /// Since 1970, if it stands.
    now: Mutex<Option<Duration>>,
}

impl Clock {
    /// Makes a clock that goes.
    ///
    /// # Errors
    ///
    /// If its file cannot be written.
    pub fn new() -> Result<Self> {
        let clock =
            Self(Arc::new(Inner { directory: tempfile::tempdir()?, now: Mutex::default() }));
        clock.write("+0")?;
        Ok(clock)
    }

    /// Moves the clock forward, and stops it if it goes.
    ///
    /// # Errors
    ///
    /// If its file cannot be written.
    pub fn advance(&self, by: Duration) -> Result<()> {
        let mut now = self.0.now.lock().unwrap_or_else(PoisonError::into_inner);
        let next = match *now {
            Some(now) => now,
            None => SystemTime::now().duration_since(UNIX_EPOCH)?,
        } + by;
        *now = Some(next);
        // The five keeps the digits before it what they are when they are read as a float.
        self.write(&format!("{}.{:06}5", next.as_secs(), next.subsec_micros()))
    }

    /// Returns the time since 1970, or `None` if it goes.
    #[must_use]
    pub fn now(&self) -> Option<Duration> {
        *self.0.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the environment of a server that lives by this clock.
    pub(super) fn environment(&self, program: &Installed) -> Result<Vec<OsString>> {
        program.clock(&self.file())
    }

    /// A server may read at any moment, so it finds the old or the new text.
    fn write(&self, text: &str) -> Result<()> {
        let new = self.0.directory.path().join("new");
        std::fs::write(&new, text)?;
        Ok(std::fs::rename(new, self.file())?)
    }

    fn file(&self) -> PathBuf {
        self.0.directory.path().join("now")
    }
}

/// Removes what libfaketime leaves in memory of a process that was killed.
pub(super) fn forget(process: u32) {
    for name in ["faketime_shm_", "sem.faketime_sem_"] {
        // Newer versions leave nothing.
        drop(std::fs::remove_file(format!("/dev/shm/{name}{process}")));
    }
}
