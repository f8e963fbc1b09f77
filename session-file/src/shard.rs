//! The directories that records are spread over, and their locks.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{self, FlockOperation, Mode, OFlags};
use rustix::io::{Errno, Result, retry_on_intr};

use crate::{io, layout};

/// One directory of a [`Shards`], held open.
#[derive(Debug)]
pub(crate) struct Shard {
    dir: OwnedFd,
    uid: u32,
}

impl Shard {
    pub(crate) fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// Returns whether the directory was removed under us.
    pub(crate) fn is_removed(&self) -> Result<bool> {
        Ok(fs::fstat(&self.dir)?.st_nlink == 0)
    }

    /// Waits for the lock and takes it.
    ///
    /// The lock belongs to the descriptor, so opening the file anew each time
    /// keeps the threads of this process apart as well as other processes.
    pub(crate) fn lock(&self) -> Result<ShardLock> {
        let flags = OFlags::RDWR | io::SAFE;
        let file = match fs::openat(&self.dir, layout::LOCK, flags, Mode::empty()) {
            Err(Errno::NOENT) => io::open_own(self.dir(), layout::LOCK, OFlags::CREATE, self.uid),
            opened => opened,
        }?;
        retry_on_intr(|| fs::flock(&file, FlockOperation::LockExclusive))?;
        Ok(ShardLock { file })
    }

    /// Flushes changes of names to the disk.
    pub(crate) fn flush(&self) -> Result<()> {
        fs::fsync(&self.dir)
    }
}

/// The right to change a shard. Freed when dropped, also by a crash.
///
/// The lock file is never renamed or removed: a lock on a file that others
/// replace would lock nobody out.
pub(crate) struct ShardLock {
    file: OwnedFd,
}

impl ShardLock {
    /// Returns the lock file, which also holds the number of the last grant.
    pub(crate) fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// 256 directories named `00` to `ff`.
#[derive(Debug)]
pub(crate) struct Shards {
    parent: OwnedFd,
    uid: u32,
    /// Whether directories stay open once they have been used.
    keep: bool,
    slots: Box<[Slot]>,
}

#[derive(Debug, Default)]
struct Slot {
    open: Mutex<Option<Arc<Shard>>>,
    /// Whether the directory's own entry has been flushed to the disk.
    flushed: AtomicBool,
}

impl Shards {
    /// Keeps directories open: for those that every request needs.
    pub(crate) fn kept(parent: OwnedFd, uid: u32) -> Self {
        Self { parent, uid, keep: true, slots: (0..256).map(|_| Slot::default()).collect() }
    }

    /// Opens directories anew each time: for those that are needed seldom.
    pub(crate) fn reopened(parent: OwnedFd, uid: u32) -> Self {
        Self { keep: false, ..Self::kept(parent, uid) }
    }

    /// Returns a shard. `None` if its directory is missing.
    pub(crate) fn find(&self, byte: u8) -> Result<Option<Arc<Shard>>> {
        let mut open = lock(&self.slots[usize::from(byte)].open);
        if open.is_some() {
            return Ok(open.clone());
        }
        let dir = match open_own_dir(self.parent.as_fd(), layout::shard(byte).as_c_str(), self.uid)
        {
            Ok(dir) => dir,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(errno),
        };
        let shard = Arc::new(Shard { dir, uid: self.uid });
        if self.keep {
            *open = Some(Arc::clone(&shard));
        }
        Ok(Some(shard))
    }

    /// Returns a shard, and makes its directory if it is missing.
    pub(crate) fn make(&self, byte: u8, durable: bool) -> Result<Arc<Shard>> {
        let flushed = &self.slots[usize::from(byte)].flushed;
        let shard = match self.find(byte)? {
            Some(shard) => shard,
            None => {
                flushed.store(false, Ordering::Relaxed);
                make_dir(self.parent.as_fd(), layout::shard(byte).as_c_str())?;
                self.find(byte)?.ok_or(Errno::NOENT)?
            }
        };
        // Also if another process made it, which may not have got to this yet.
        if durable && !flushed.load(Ordering::Relaxed) {
            fs::fsync(&self.parent)?;
            flushed.store(true, Ordering::Relaxed);
        }
        Ok(shard)
    }

    /// Lets go of a shard whose directory was removed, so that the next call
    /// looks for a new one.
    pub(crate) fn forget(&self, byte: u8, shard: &Arc<Shard>) {
        let mut open = lock(&self.slots[usize::from(byte)].open);
        if open.as_ref().is_some_and(|open| Arc::ptr_eq(open, shard)) {
            *open = None;
        }
    }
}

/// Makes a directory for us alone, whatever the umask. Fine if it is there.
pub(crate) fn make_dir(parent: BorrowedFd<'_>, name: &std::ffi::CStr) -> Result<()> {
    match fs::mkdirat(parent, name, io::DIR_MODE) {
        Ok(()) => fs::chmodat(parent, name, io::DIR_MODE, fs::AtFlags::empty()),
        Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Opens a directory of ours in a directory of ours, never through a link.
pub(crate) fn open_own_dir(
    parent: BorrowedFd<'_>,
    name: &std::ffi::CStr,
    uid: u32,
) -> Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = fs::openat(parent, name, flags, Mode::empty())?;
    let stat = fs::fstat(&dir)?;
    if stat.st_uid != uid || stat.st_mode & 0o022 != 0 {
        return Err(Errno::PERM);
    }
    Ok(dir)
}

/// Locks in spite of poison: what these guard is whole between any two steps.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
