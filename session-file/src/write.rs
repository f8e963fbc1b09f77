//! Writing and touching records. Everything here blocks.

use std::sync::Arc;
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::io::Errno;
use session_core::{
    Error, ErrorKind, FencingToken, Operation, Result, SessionKey, Timestamp, Version, WriteMode,
    WriteOptions,
};

use crate::error::{self, NAME};
use crate::layout::{self, OwnerHash};
use crate::record::{Header, Lifetime, MAX_HEAD};
use crate::shard::Shard;
use crate::store::{Store, draw_version, trouble};
use crate::temp::Temp;

impl Store {
    /// Writes a record as the options say.
    pub(crate) fn write(
        &self,
        key: &SessionKey,
        payload: &[u8],
        options: &WriteOptions,
    ) -> Result<Version> {
        let op = options.mode.operation();
        if options.mode == WriteMode::Create {
            return self.in_shard(op, key, |shard| self.write_in(shard, key, payload, options));
        }
        let shard = self.shard(op, key)?.ok_or_else(|| Error::gone(op).with_backend(NAME))?;
        self.write_in(&shard, key, payload, options)
    }

    /// Writes a record under the lock of its shard.
    fn write_in(
        &self,
        shard: &Arc<Shard>,
        key: &SessionKey,
        payload: &[u8],
        options: &WriteOptions,
    ) -> Result<Version> {
        let op = options.mode.operation();
        let lock = shard.lock().map_err(|errno| error::os(op, errno))?;
        // After the lock, so that waiting for it cannot make an expired record
        // look alive.
        let now = self.now();
        self.check_fence(op, key, shard, options.fence)?;
        // What cannot be read is not known to have expired, so its key is taken.
        let unreadable = |err: Error| match (&options.mode, err.kind()) {
            (WriteMode::Create, ErrorKind::Corrupt) => Error::already_exists().with_backend(NAME),
            _ => err,
        };
        let current = self.head(op, key, shard, OFlags::RDONLY).map_err(unreadable)?;
        let old = current.as_ref().map(|head| head.verify(key)).transpose();
        let old = old.map_err(trouble(op)).map_err(unreadable)?;
        let version = allow(&options.mode, old.as_ref(), now)?;

        let header = header(version, now, options, payload);
        let lifetime = Lifetime { touched: now, expires: now.after(options.lifetime()) };
        let temp = self.fill(op, key, shard, &header, lifetime, payload)?;
        let (before, after) = (old.and_then(|(old, _)| old.indexed()), header.indexed());
        // The marker comes first and goes last: an owner's session is never
        // without one.
        if after != before
            && let Some(owner) = after
        {
            self.mark(op, OwnerHash::of(owner), key)?;
        }
        self.put(op, key, temp, old.is_some())?;
        if after != before
            && let Some(owner) = before
        {
            self.unmark(OwnerHash::of(owner), key);
        }
        self.release_and_flush(op, shard, lock)?;
        Ok(Version::counter(version))
    }

    /// Refuses a write under a lock that is not held any more. The caller holds
    /// the shard's lock.
    fn check_fence(
        &self,
        op: Operation,
        key: &SessionKey,
        shard: &Arc<Shard>,
        fence: Option<FencingToken>,
    ) -> Result<()> {
        if let Some(fence) = fence
            && self.grant(op, key, shard)?.is_none_or(|grant| grant.token != fence)
        {
            return Err(Error::lock_lost(op).with_backend(NAME));
        }
        Ok(())
    }

    /// Writes a record to a file under a temporary name.
    fn fill<'a>(
        &self,
        op: Operation,
        key: &SessionKey,
        shard: &'a Shard,
        header: &Header<'_>,
        lifetime: Lifetime,
        payload: &[u8],
    ) -> Result<Temp<'a>> {
        let mut head = [0; MAX_HEAD];
        let len = header.encode(key, lifetime, &mut head);
        let temp = if self.is_durable() {
            Temp::flushed(shard.dir(), &head[..len], payload)
        } else {
            Temp::spare(shard.dir(), &head[..len], payload, self.save_path()?.uid())
        };
        temp.map_err(|errno| error::os(op, errno))
    }

    /// Gives a record its name, in the place of an old one if there is one.
    fn put(&self, op: Operation, key: &SessionKey, temp: Temp<'_>, replaces: bool) -> Result<()> {
        let name = layout::record(key);
        let renamed = if replaces {
            temp.replace(&name, &self.renames)
        } else {
            temp.insert(&name, &self.renames)
        };
        renamed.map_err(|errno| match errno {
            Errno::EXIST => Error::already_exists().with_backend(NAME),
            Errno::NOENT => Error::gone(op).with_backend(NAME),
            Errno::IO => error::late(op, errno),
            errno => error::os(op, errno),
        })
    }

    /// Extends a lifetime in place.
    pub(crate) fn touch(&self, key: &SessionKey, idle: Duration) -> Result<bool> {
        let op = Operation::Touch;
        let Some(shard) = self.shard(op, key)? else { return Ok(false) };
        let _lock = shard.lock().map_err(|errno| error::os(op, errno))?;
        let Some(head) = self.head(op, key, &shard, OFlags::RDWR)? else { return Ok(false) };
        let (header, old) = head.verify(key).map_err(trouble(op))?;
        let now = self.now();
        if !old.is_live(now) || header.pointer {
            return Ok(false);
        }
        let expires = old.expires.max(now.after(idle).min(header.absolute));
        head.touch(Lifetime { touched: now, expires }, self.is_durable())
            .map_err(|errno| error::late(op, errno))?;
        Ok(true)
    }
}

/// Describes the record that a write makes.
fn header<'a>(
    version: u64,
    now: Timestamp,
    options: &'a WriteOptions,
    payload: &[u8],
) -> Header<'a> {
    let owner = options.owner.as_ref().map_or(&b""[..], |owner| owner.as_str().as_bytes());
    let absolute = options.absolute.map_or(Timestamp::MAX, |absolute| now.after(absolute));
    let mut header = Header::new(version, now.before(options.age), absolute, owner, payload);
    header.pointer = options.pointer;
    header.fence = options.fence.map_or(0, |fence| fence.0);
    header
}

/// Returns the version that a write makes, if it may happen.
fn allow(mode: &WriteMode, old: Option<&(Header<'_>, Lifetime)>, now: Timestamp) -> Result<u64> {
    let live = old.filter(|(_, lifetime)| lifetime.is_live(now)).map(|(header, _)| header.version);
    match (mode, live) {
        (WriteMode::Create, None) => draw_version(),
        (WriteMode::Create, Some(_)) => Err(Error::already_exists().with_backend(NAME)),
        (WriteMode::Replace | WriteMode::IfVersion(_), None) => {
            Err(Error::gone(mode.operation()).with_backend(NAME))
        }
        (WriteMode::IfVersion(wanted), Some(version)) if wanted.as_counter() != Some(version) => {
            Err(Error::conflict(mode.operation()).with_backend(NAME))
        }
        (WriteMode::Replace | WriteMode::IfVersion(_), Some(version)) => {
            Ok(version.wrapping_add(1))
        }
    }
}
