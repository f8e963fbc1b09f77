//! Records on their way in. Every call here blocks.

use std::cell::Cell;
use std::ffi::CStr;
use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{self, AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::{self, Errno, Result, retry_on_intr};
use session_core::{OsRandom, Random};

use crate::io::{FILE_MODE, SAFE, exists, insist, is_plain, remove};
use crate::layout::{self, Name};

/// A file under a temporary name, on its way to be a record. It goes away with
/// this value, unless it is kept as a spare.
///
/// Making a file costs ext4 more than all the rest of a write: it looks for an
/// inode that was not freed lately. So where nothing has to survive a power cut,
/// the file that a write swaps out is the one that the next write fills.
pub(crate) struct Temp<'a> {
    dir: BorrowedFd<'a>,
    name: Name,
    /// Whether the file stays for the next write.
    spare: bool,
    /// Whether to remove what has the name.
    armed: Cell<bool>,
}

impl<'a> Temp<'a> {
    /// Writes a new file and flushes it to the disk: all of it, or nothing stays.
    pub(crate) fn flushed(dir: BorrowedFd<'a>, head: &[u8], payload: &[u8]) -> Result<Self> {
        let (temp, file) = loop {
            let mut random = [0; 8];
            OsRandom.fill(&mut random).map_err(|_| Errno::IO)?;
            match Self::create(dir, layout::temp(random), false) {
                Err(Errno::EXIST) => {}
                created => break created?,
            }
        };
        write_all(file.as_fd(), head, payload)?;
        // Not tried again if it fails: the system may have dropped the bytes.
        fs::fsync(&file)?;
        Ok(temp)
    }

    /// Fills the shard's spare file, made if it is missing or not ours alone. The
    /// caller holds the shard's lock, and keeps it until the file is a record.
    pub(crate) fn spare(
        dir: BorrowedFd<'a>,
        head: &[u8],
        payload: &[u8],
        uid: u32,
    ) -> Result<Self> {
        let name = layout::spare();
        let (temp, file, size) = match open_spare(dir, &name, uid)? {
            Some((file, size)) => {
                (Self { dir, name, spare: true, armed: Cell::new(true) }, file, size)
            }
            None => {
                let (temp, file) = Self::create(dir, name, true)?;
                (temp, file, 0)
            }
        };
        write_all(file.as_fd(), head, payload)?;
        let len = (head.len() + payload.len()) as u64;
        if size > len {
            fs::ftruncate(&file, len)?;
        }
        Ok(temp)
    }

    fn create(dir: BorrowedFd<'a>, name: Name, spare: bool) -> Result<(Self, OwnedFd)> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | SAFE;
        let file = fs::openat(dir, name.as_c_str(), flags, FILE_MODE)?;
        let temp = Self { dir, name, spare, armed: Cell::new(true) };
        insist(file.as_fd(), FILE_MODE)?;
        Ok((temp, file))
    }

    /// Moves the file to a free name. `EEXIST` if the name is taken.
    ///
    /// The caller holds the shard's lock and has seen that the name is free, so
    /// that a plain rename does where the file system knows no other.
    pub(crate) fn insert(self, name: &Name, renames: &Renames) -> Result<()> {
        let (from, to) = (self.name.as_c_str(), name.as_c_str());
        renames.with(self.dir, from, to, RenameFlags::NOREPLACE)?;
        self.armed.set(false);
        Ok(())
    }

    /// Swaps the file with the one that has the name, and removes the latter or
    /// keeps it as a spare. `ENOENT` if there is none, so that nothing comes
    /// back to life.
    ///
    /// The caller holds the shard's lock and has seen the other file.
    pub(crate) fn replace(self, name: &Name, renames: &Renames) -> Result<()> {
        let (from, to) = (self.name.as_c_str(), name.as_c_str());
        let swapped = renames.with(self.dir, from, to, RenameFlags::EXCHANGE)?;
        self.armed.set(swapped && !self.spare);
        Ok(())
    }
}

/// Opens the spare file and tells its size. `None` if there is none, or was none
/// that is ours alone: others may keep what they linked, and we make a new one.
fn open_spare(dir: BorrowedFd<'_>, name: &Name, uid: u32) -> Result<Option<(OwnedFd, u64)>> {
    match fs::openat(dir, name.as_c_str(), OFlags::WRONLY | SAFE, Mode::empty()) {
        Ok(file) => {
            let stat = fs::fstat(&file)?;
            if is_plain(&stat, uid) {
                return Ok(Some((file, u64::try_from(stat.st_size).unwrap_or(0))));
            }
        }
        Err(Errno::NOENT) => return Ok(None),
        // What a link, a socket or a pipe answers.
        Err(Errno::LOOP | Errno::NXIO) => {}
        Err(errno) => return Err(errno),
    }
    remove(dir, name.as_c_str())?;
    Ok(None)
}

impl Drop for Temp<'_> {
    fn drop(&mut self) {
        if self.armed.get() {
            // What stays here is removed by garbage collection, and never read.
            let _ = fs::unlinkat(self.dir, self.name.as_c_str(), AtFlags::empty());
        }
    }
}

/// Renames with flags, or plainly where the file system refuses flags.
#[derive(Debug, Default)]
pub(crate) struct Renames {
    plain: AtomicBool,
}

impl Renames {
    /// Makes one that has found flags refused.
    #[cfg(test)]
    pub(crate) fn plain() -> Self {
        Self { plain: AtomicBool::new(true) }
    }

    /// Returns whether the flags were obeyed.
    fn with(&self, dir: BorrowedFd<'_>, from: &CStr, to: &CStr, how: RenameFlags) -> Result<bool> {
        if !self.plain.load(Ordering::Relaxed) {
            match fs::renameat_with(dir, from, dir, to, how) {
                Ok(()) => return Ok(true),
                Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                    self.plain.store(true, Ordering::Relaxed);
                }
                Err(errno) => return Err(errno),
            }
        }
        match (exists(dir, to)?, how == RenameFlags::NOREPLACE) {
            (true, true) => Err(Errno::EXIST),
            (false, false) => Err(Errno::NOENT),
            _ => fs::renameat(dir, from, dir, to).map(|()| false),
        }
    }
}

/// Writes two pieces, however many calls it takes.
fn write_all(file: BorrowedFd<'_>, mut head: &[u8], mut payload: &[u8]) -> Result<()> {
    while !(head.is_empty() && payload.is_empty()) {
        let pieces = [IoSlice::new(head), IoSlice::new(payload)];
        let written = retry_on_intr(|| io::writev(file, &pieces))?;
        if written == 0 {
            return Err(Errno::IO);
        }
        let of_head = written.min(head.len());
        head = &head[of_head..];
        payload = &payload[written - of_head..];
    }
    Ok(())
}
