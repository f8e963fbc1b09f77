//! The operations on one record. Everything here blocks.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use rustix::fs::OFlags;
use rustix::io::Errno;
use session_core::{
    Clock, Error, ErrorKind, Operation, OsRandom, Random, Result, SessionKey, Stored, Timestamp,
    Version, WriteMode, WriteOptions,
};
use tokio::sync::Semaphore;

use crate::config::{Durability, FileConfig};
use crate::error;
use crate::io::{Head, Plain, Renames, Temp, Trouble, remove};
use crate::layout::{self, OwnerHash};
use crate::record::{Bad, Header, Lifetime, MAX_HEAD};
use crate::save_path::SavePath;
use crate::shard::{Shard, ShardLock};
use crate::sweep::Position;

/// Reads of a file before it counts as damaged. Each that fails in vain has
/// taken longer than two writes to its shard.
const READS: usize = 16;

/// What the handler and its capabilities share.
pub(crate) struct Store {
    pub(crate) config: FileConfig,
    pub(crate) clock: Arc<dyn Clock>,
    /// Places for calls that work on the disk.
    pub(crate) slots: Semaphore,
    /// Where garbage collection goes on.
    pub(crate) swept: std::sync::Mutex<Position>,
    renames: Renames,
    save_path: OnceLock<SavePath>,
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

    /// Called when a name is missing: makes sure that it is, and not the whole
    /// directory. Returns whether the shard is gone by itself.
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
        let head = settled(op, || {
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
        let found = settled(op, || match Plain::open(shard.dir(), &name, OFlags::RDONLY, uid)? {
            Some(file) => self.read_file(key, &file).map(Some),
            None => Ok(None),
        })?;
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

    /// Writes a record as the options say.
    pub(crate) fn write(
        &self,
        key: &SessionKey,
        payload: &[u8],
        options: &WriteOptions,
    ) -> Result<Version> {
        if options.mode == WriteMode::Create {
            let op = Operation::Create;
            return self.in_shard(op, key, |shard| self.write_in(shard, op, key, payload, options));
        }
        let op = Operation::Write;
        let shard = self.shard(op, key)?.ok_or_else(gone)?;
        self.write_in(&shard, op, key, payload, options)
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

    fn write_in(
        &self,
        shard: &Arc<Shard>,
        op: Operation,
        key: &SessionKey,
        payload: &[u8],
        options: &WriteOptions,
    ) -> Result<Version> {
        let fail = |errno| error::os(op, errno);
        let lock = shard.lock().map_err(fail)?;
        // After the lock, so that waiting for it cannot make an expired record
        // look alive.
        let now = self.now();
        if let Some(fence) = options.fence
            && self.grant(op, key, shard)?.is_none_or(|grant| grant.token != fence)
        {
            return Err(error::new(
                ErrorKind::Locked,
                op,
                "the lock was lost; read the session again",
            ));
        }
        // What cannot be read is not known to have expired, so its key is taken.
        let unreadable = |err: Error| match (&options.mode, err.kind()) {
            (WriteMode::Create, ErrorKind::Corrupt) => taken(),
            _ => err,
        };
        let current = self.head(op, key, shard, OFlags::RDONLY).map_err(unreadable)?;
        let old = current.as_ref().map(|head| head.verify(key)).transpose();
        let old = old.map_err(trouble(op)).map_err(unreadable)?;
        let version = allow(&options.mode, old.as_ref(), now)?;

        let owner = options.owner.as_ref().map_or(&b""[..], |owner| owner.as_str().as_bytes());
        let absolute = options.absolute.map_or(Timestamp::MAX, |absolute| now.after(absolute));
        let mut header = Header::new(version, now.before(options.age), absolute, owner, payload);
        header.pointer = options.pointer;
        header.fence = options.fence.map_or(0, |fence| fence.0);
        let lifetime = Lifetime { touched: now, expires: now.after(options.lifetime()) };
        let mut head = [0; MAX_HEAD];
        let len = header.encode(key, lifetime, &mut head);

        let temp = if self.is_durable() {
            Temp::flushed(shard.dir(), &head[..len], payload)
        } else {
            Temp::spare(shard.dir(), &head[..len], payload, self.save_path()?.uid())
        };
        let temp = temp.map_err(fail)?;
        let (before, after) = (old.and_then(|(old, _)| old.indexed()), header.indexed());
        // The marker comes first and goes last: an owner's session is never
        // without one.
        if after != before
            && let Some(owner) = after
        {
            self.mark(op, OwnerHash::of(owner), key)?;
        }
        let name = layout::record(key);
        let renamed = match old {
            Some(_) => temp.replace(&name, &self.renames),
            None => temp.insert(&name, &self.renames),
        };
        renamed.map_err(|errno| match errno {
            Errno::EXIST => taken(),
            Errno::NOENT => gone(),
            Errno::IO => error::late(op, errno),
            errno => fail(errno),
        })?;
        if after != before
            && let Some(owner) = before
        {
            self.unmark(OwnerHash::of(owner), key);
        }
        self.settle(op, shard, lock)?;
        Ok(Version::counter(version))
    }

    /// Frees the lock, and flushes the change of names if so configured. Others
    /// in the shard go on meanwhile.
    pub(crate) fn settle(&self, op: Operation, shard: &Shard, lock: ShardLock) -> Result<()> {
        drop(lock);
        if !self.is_durable() {
            return Ok(());
        }
        shard.flush().map_err(|errno| error::late(op, errno))
    }

    /// Extends a lifetime in place.
    pub(crate) fn touch(&self, key: &SessionKey, idle: Duration) -> Result<bool> {
        let op = Operation::Touch;
        let Some(shard) = self.shard(op, key)? else { return Ok(false) };
        let _lock = shard.lock().map_err(|errno| error::os(op, errno))?;
        let Some(head) = self.head(op, key, &shard, OFlags::RDWR)? else { return Ok(false) };
        let (header, old) = head.verify(key).map_err(trouble(op))?;
        let now = self.now();
        if !old.is_live(now) {
            return Ok(false);
        }
        let expires = old.expires.max(now.after(idle).min(header.absolute));
        head.touch(Lifetime { touched: now, expires }, self.is_durable())
            .map_err(|errno| error::late(op, errno))?;
        Ok(true)
    }

    /// Removes a session.
    ///
    /// What does not verify goes too when no version is asked for: whoever ends
    /// a session must get it ended.
    pub(crate) fn destroy(&self, key: &SessionKey, only_at: Option<&Version>) -> Result<bool> {
        let op = Operation::Destroy;
        let Some(shard) = self.shard(op, key)? else { return Ok(false) };
        let lock = shard.lock().map_err(|errno| error::os(op, errno))?;
        let live = match self.look(op, key, &shard) {
            Ok(None) => {
                // The removal by somebody else must be as durable as ours.
                self.settle(op, &shard, lock)?;
                return Ok(false);
            }
            Ok(Some(found)) if found.live => {
                if only_at.is_some_and(|at| at.as_counter() != Some(found.version)) {
                    return Err(error::new(
                        ErrorKind::Conflict,
                        op,
                        "somebody wrote to the session; read it again",
                    ));
                }
                self.take_away(op, key, &shard, found.owner)?;
                true
            }
            Ok(Some(found)) => {
                self.take_away(op, key, &shard, found.owner)?;
                false
            }
            Err(err) if err.kind() == ErrorKind::Corrupt && only_at.is_none() => {
                self.take_away(op, key, &shard, None)?;
                true
            }
            Err(err) => return Err(err),
        };
        self.settle(op, &shard, lock)?;
        Ok(live)
    }

    /// Looks at a record, to decide about its removal. The caller holds the lock.
    pub(crate) fn look(
        &self,
        op: Operation,
        key: &SessionKey,
        shard: &Arc<Shard>,
    ) -> Result<Option<Found>> {
        let Some(head) = self.head(op, key, shard, OFlags::RDONLY)? else { return Ok(None) };
        let (header, lifetime) = head.verify(key).map_err(trouble(op))?;
        Ok(Some(Found {
            version: header.version,
            live: lifetime.is_live(self.now()),
            owner: header.indexed().map(OwnerHash::of),
        }))
    }

    /// Removes a record and its marker. The caller holds the lock.
    pub(crate) fn take_away(
        &self,
        op: Operation,
        key: &SessionKey,
        shard: &Shard,
        owner: Option<OwnerHash>,
    ) -> Result<()> {
        remove(shard.dir(), layout::record(key).as_c_str()).map_err(|errno| match errno {
            Errno::IO => error::late(op, errno),
            errno => error::os(op, errno),
        })?;
        if let Some(owner) = owner {
            self.unmark(owner, key);
        }
        Ok(())
    }
}

/// What decides about the removal of a record.
pub(crate) struct Found {
    pub(crate) version: u64,
    pub(crate) live: bool,
    /// Under whom the index lists it.
    pub(crate) owner: Option<OwnerHash>,
}

/// Returns the version that a write makes, if it may happen.
fn allow(mode: &WriteMode, old: Option<&(Header<'_>, Lifetime)>, now: Timestamp) -> Result<u64> {
    let live = old.filter(|(_, lifetime)| lifetime.is_live(now)).map(|(header, _)| header.version);
    match (mode, live) {
        (WriteMode::Create, None) => first_version(),
        (WriteMode::Create, Some(_)) => Err(taken()),
        (WriteMode::Replace | WriteMode::IfVersion(_), None) => Err(gone()),
        (WriteMode::IfVersion(wanted), Some(version)) if wanted.as_counter() != Some(version) => {
            Err(error::new(
                ErrorKind::Conflict,
                Operation::Write,
                "somebody else wrote first; read the session again",
            ))
        }
        (WriteMode::Replace | WriteMode::IfVersion(_), Some(version)) => {
            Ok(version.wrapping_add(1))
        }
    }
}

/// Draws the version that a new record begins with, so that a key that is
/// destroyed and created again never comes to a version it had.
fn first_version() -> Result<u64> {
    let mut random = [0; 8];
    OsRandom.fill(&mut random)?;
    Ok(u64::from_le_bytes(random) >> 1)
}

pub(crate) fn shard_of(key: &SessionKey) -> u8 {
    key.as_bytes()[0]
}

/// Opens and reads a file without the lock, and again if it does not verify: it
/// may have been swapped out and filled anew in between. What is really damaged
/// stays so.
fn settled<T>(op: Operation, attempt: impl Fn() -> Result<T, Trouble>) -> Result<T> {
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

fn gone() -> Error {
    error::new(ErrorKind::Gone, Operation::Write, "the session has ended; begin a new one")
}

fn taken() -> Error {
    error::new(ErrorKind::AlreadyExists, Operation::Create, "the key is taken; draw another id")
}
