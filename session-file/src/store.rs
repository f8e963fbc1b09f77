//! What the operations share, and reading. Everything here blocks.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use rustix::fs::OFlags;
use session_core::{
    Clock, Error, Operation, OsRandom, Random, Result, SessionKey, Stored, Timestamp, Version,
};
use tokio::sync::Semaphore;

use crate::config::{Durability, FileConfig};
use crate::error::{self, NAME};
use crate::layout;
use crate::plain::{Head, Plain, Trouble};
use crate::record::{Bad, Header, MAX_HEAD};
use crate::save_path::SavePath;
use crate::shard::{Shard, ShardLock};
use crate::temp::Renames;

/// Reads of a file before it counts as damaged. Each that fails in vain has
/// taken longer than two writes to its shard.
const READS: usize = 16;

/// What the handler and its capabilities share.
pub(crate) struct Store {
    pub(crate) config: FileConfig,
    pub(crate) clock: Arc<dyn Clock>,
    /// Places for calls that work on the disk.
    pub(crate) slots: Semaphore,
    pub(crate) swept: Mutex<Position>,
    pub(crate) renames: Renames,
    save_path: OnceLock<SavePath>,
}

/// Where garbage collection goes on: first through the records, then through the markers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Position {
    pub(crate) markers: bool,
    pub(crate) shard: u8,
    pub(crate) after: Option<SessionKey>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Store {
    pub(crate) fn new(config: FileConfig, clock: Arc<dyn Clock>) -> Self {
        let slots = Semaphore::new(config.max_blocking);
        let renames = Renames::default();
        Self {
            config,
            clock,
            slots,
            swept: Default::default(),
            renames,
            save_path: OnceLock::new(),
        }
    }

    /// Makes a store that has found rename flags refused.
    #[cfg(test)]
    pub(crate) fn without_rename_flags(mut self) -> Self {
        self.renames = Renames::plain();
        self
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn is_durable(&self) -> bool {
        self.config.durability == Durability::Full
    }

    /// Opens the save path, and makes it if it is missing.
    pub(crate) fn open(&self) -> Result<()> {
        self.save_path()?.check(Operation::Open)
    }

    /// Returns the save path, opened when it is first asked for.
    pub(crate) fn save_path(&self) -> Result<&SavePath> {
        if let Some(path) = self.save_path.get() {
            return Ok(path);
        }
        let path = SavePath::open(&self.config.directory, self.is_durable())?;
        Ok(self.save_path.get_or_init(|| path))
    }

    /// Returns the shard of a key. `None` if nothing was ever stored there.
    pub(crate) fn shard(&self, op: Operation, key: &SessionKey) -> Result<Option<Arc<Shard>>> {
        let path = self.save_path()?;
        let shard = path.sessions().find(shard_of(key)).map_err(|errno| error::os(op, errno))?;
        if shard.is_none() {
            path.check(op)?;
        }
        Ok(shard)
    }

    /// Tells why a name is missing: fails if the save path was removed, returns
    /// `true` if only its shard was.
    fn missing(&self, op: Operation, key: &SessionKey, shard: &Arc<Shard>) -> Result<bool> {
        let removed = shard.is_removed().map_err(|errno| error::os(op, errno))?;
        if removed {
            let path = self.save_path()?;
            path.check(op)?;
            path.sessions().forget(shard_of(key), shard);
        }
        Ok(removed)
    }

    /// Reads the head of a record and verifies it. `None` if there is none.
    pub(crate) fn head(
        &self,
        op: Operation,
        key: &SessionKey,
        shard: &Arc<Shard>,
        access: OFlags,
    ) -> Result<Option<Head>> {
        let uid = self.save_path()?.uid();
        let head = until_verified(op, || {
            let head = Head::open(shard.dir(), key, access, uid)?;
            if let Some(head) = &head {
                head.verify(key)?;
            }
            Ok(head)
        })?;
        if head.is_none() {
            self.missing(op, key, shard)?;
        }
        Ok(head)
    }

    /// Reads a live session: open, look, read, close, and no lock.
    pub(crate) fn read(&self, key: &SessionKey) -> Result<Option<Stored>> {
        let op = Operation::Read;
        let Some(shard) = self.shard(op, key)? else { return Ok(None) };
        let uid = self.save_path()?.uid();
        let name = layout::record(key);
        let attempt = || {
            let opened = Plain::open(shard.dir(), &name, OFlags::RDONLY, uid)?;
            let Some(file) = opened else { return Ok(None) };
            let read = self.read_file(key, &file)?;
            // A file that was swapped out meanwhile may hold what a write is about
            // to store and has not stored yet.
            if !file.has_name(shard.dir(), &name)? {
                return Err(Bad::Damaged.into());
            }
            Ok(Some(read))
        };
        let found = match until_verified(op, attempt) {
            // Written to without a pause, or damaged: under the lock it is one of both.
            Err(err) if err.kind() == session_core::ErrorKind::Corrupt => {
                let _lock = shard.lock().map_err(|errno| error::os(op, errno))?;
                attempt().map_err(trouble(op))?
            }
            done => done?,
        };
        if found.is_none() {
            self.missing(op, key, &shard)?;
        }
        Ok(found.flatten())
    }

    /// Reads a session from its file. `None` if it has expired.
    fn read_file(&self, key: &SessionKey, file: &Plain) -> Result<Option<Stored>, Trouble> {
        if file.size > (MAX_HEAD + self.config.max_record_bytes) as u64 {
            return Err(Bad::TooLong.into());
        }
        let bytes = file.read()?;
        let header = Header::decode(&bytes, file.size, key)?;
        let lifetime = file.lifetime(&bytes)?;
        let now = self.now();
        if !lifetime.is_live(now) {
            return Ok(None);
        }
        let begin = header.len();
        if !header.fits(&bytes[begin..]) {
            return Err(Bad::Damaged.into());
        }
        let version = Version::counter(header.version);
        let payload = Bytes::from(bytes).slice(begin..);
        Ok(Some(Stored::new(payload, version).with_remaining(lifetime.expires.since(now))))
    }

    /// Works in the shard of a key, which is made if it is missing, and made
    /// again if somebody removes its directory meanwhile.
    pub(crate) fn in_shard<T>(
        &self,
        op: Operation,
        key: &SessionKey,
        work: impl Fn(&Arc<Shard>) -> Result<T>,
    ) -> Result<T> {
        let path = self.save_path()?;
        loop {
            let made = path.sessions().make(shard_of(key), self.is_durable());
            let shard = made.map_err(|errno| match path.check(op) {
                Ok(()) => error::os(op, errno),
                Err(removed) => removed,
            })?;
            match work(&shard) {
                Err(err) if !err.is_indeterminate() && self.missing(op, key, &shard)? => {}
                done => return done,
            }
        }
    }

    /// Frees the lock, and flushes the change of names if so configured. Others
    /// in the shard go on meanwhile.
    pub(crate) fn release_and_flush(
        &self,
        op: Operation,
        shard: &Shard,
        lock: ShardLock,
    ) -> Result<()> {
        drop(lock);
        if !self.is_durable() {
            return Ok(());
        }
        shard.flush().map_err(|errno| error::late(op, errno))
    }
}

/// Draws the version that a new record begins with, so that a key that is
/// destroyed and created again never comes to a version it had.
pub(crate) fn draw_version() -> Result<u64> {
    OsRandom.number().map(|number| number >> 1).map_err(|err| err.with_backend(NAME))
}

pub(crate) fn shard_of(key: &SessionKey) -> u8 {
    key.as_bytes()[0]
}

/// Opens and reads a file without the lock, and again if it does not verify: it
/// may have been swapped out and filled anew in between. What is really damaged
/// stays so.
fn until_verified<T>(op: Operation, attempt: impl Fn() -> Result<T, Trouble>) -> Result<T> {
    let mut left = READS;
    loop {
        match attempt() {
            Err(Trouble::Bad(Bad::Damaged | Bad::Misplaced | Bad::TooLong)) if left > 1 => {
                left -= 1;
                std::thread::yield_now();
            }
            done => return done.map_err(trouble(op)),
        }
    }
}

/// Translates the trouble with a record.
pub(crate) fn trouble(op: Operation) -> impl Fn(Trouble) -> Error {
    move |trouble| match trouble {
        Trouble::Os(errno) => error::os(op, errno),
        Trouble::Bad(bad) => error::bad(op, bad),
    }
}
