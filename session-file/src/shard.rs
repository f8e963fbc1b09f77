//! The directories that records are spread over, and their locks.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::fs::{self, FlockOperation, Mode, OFlags};
use rustix::io::{Errno, Result, retry_on_intr};

use crate::{io, layout};

/// One directory of a [`Shards`], held open.
#[derive(Debug)]
pub(crate) struct Shard {
    dir: OwnedFd,
    uid: u32,
    /// Keeps the threads of this process apart, the lock file other processes:
    /// a lock on a file is the property of its descriptor.
    threads: Mutex<()>,
    lock_file: OnceLock<OwnedFd>,
    /// Whether the directory's own entry has been flushed to the disk.
    flushed: AtomicBool,
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
    pub(crate) fn lock(&self) -> Result<ShardLock<'_>> {
        let threads = lock(&self.threads);
        let file = match self.lock_file.get() {
            Some(file) => file,
            None => {
                let file = io::open_own(self.dir(), layout::LOCK, OFlags::CREATE, self.uid)?;
                self.lock_file.get_or_init(|| file)
            }
        };
        retry_on_intr(|| fs::flock(file, FlockOperation::LockExclusive))?;
        Ok(ShardLock { file: file.as_fd(), _threads: threads })
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
pub(crate) struct ShardLock<'a> {
    file: BorrowedFd<'a>,
    _threads: MutexGuard<'a, ()>,
}

impl ShardLock<'_> {
    /// Returns the lock file, which also holds the number of the last grant.
    pub(crate) fn file(&self) -> BorrowedFd<'_> {
        self.file
    }
}

impl Drop for ShardLock<'_> {
    fn drop(&mut self) {
        // Cannot fail for a descriptor that holds the lock.
        let _ = fs::flock(self.file, FlockOperation::Unlock);
    }
}

/// 256 directories named `00` to `ff`, opened when they are first used.
#[derive(Debug)]
pub(crate) struct Shards {
    parent: OwnedFd,
    uid: u32,
    open: Box<[Mutex<Option<Arc<Shard>>>]>,
}

impl Shards {
    pub(crate) fn new(parent: OwnedFd, uid: u32) -> Self {
        Self { parent, uid, open: (0..256).map(|_| Mutex::default()).collect() }
    }

    /// Returns a shard. `None` if its directory is missing.
    pub(crate) fn find(&self, byte: u8) -> Result<Option<Arc<Shard>>> {
        let mut open = lock(&self.open[usize::from(byte)]);
        if open.is_none() {
            match open_dir(self.parent.as_fd(), byte, self.uid) {
                Ok(shard) => *open = Some(Arc::new(shard)),
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(open.clone())
    }

    /// Returns a shard, and makes its directory if it is missing.
    pub(crate) fn make(&self, byte: u8, durable: bool) -> Result<Arc<Shard>> {
        let shard = match self.find(byte)? {
            Some(shard) => shard,
            None => {
                make_dir(self.parent.as_fd(), layout::shard(byte).as_c_str())?;
                self.find(byte)?.ok_or(Errno::NOENT)?
            }
        };
        // Also if another process made it, which may not have got to this yet.
        if durable && !shard.flushed.load(Ordering::Relaxed) {
            fs::fsync(&self.parent)?;
            shard.flushed.store(true, Ordering::Relaxed);
        }
        Ok(shard)
    }

    /// Lets go of a shard whose directory was removed, so that the next call
    /// looks for a new one.
    pub(crate) fn forget(&self, byte: u8, shard: &Arc<Shard>) {
        let mut open = lock(&self.open[usize::from(byte)]);
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

fn open_dir(parent: BorrowedFd<'_>, byte: u8, uid: u32) -> Result<Shard> {
    Ok(Shard {
        dir: open_own_dir(parent, layout::shard(byte).as_c_str(), uid)?,
        uid,
        threads: Mutex::default(),
        lock_file: OnceLock::new(),
        flushed: AtomicBool::new(false),
    })
}

/// Locks in spite of poison: what these guard is whole between any two steps.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
