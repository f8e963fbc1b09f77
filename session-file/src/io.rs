//! Files in a held directory. Every call here blocks.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::{Errno, Result};

/// How every file is opened: never through a link, never waiting for the other
/// end of a pipe, never inherited by a child.
pub(crate) const SAFE: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);
pub(crate) const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);
pub(crate) const DIR_MODE: Mode = Mode::RWXU;

/// A plain file of ours that nobody else can read. A record that was replaced
/// after it was opened has no link left, and is still the record we opened.
pub(crate) fn is_plain(stat: &Stat, uid: u32) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
        && stat.st_uid == uid
        && stat.st_mode & 0o077 == 0
        && stat.st_nlink <= 1
}

/// Returns whether anything has this name.
pub(crate) fn exists(dir: BorrowedFd<'_>, name: &CStr) -> Result<bool> {
    match fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Removes a name. Returns whether it was there.
pub(crate) fn remove(dir: BorrowedFd<'_>, name: &CStr) -> Result<bool> {
    match fs::unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Shows each name in a directory to `visit`, all but `.` and `..`.
pub(crate) fn names(dir: BorrowedFd<'_>, mut visit: impl FnMut(&[u8])) -> Result<()> {
    for entry in fs::Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            visit(name);
        }
    }
    Ok(())
}

/// Opens a file of our own bookkeeping, made if it is missing and asked for.
pub(crate) fn open_own(
    dir: BorrowedFd<'_>,
    name: &CStr,
    create: OFlags,
    uid: u32,
) -> Result<OwnedFd> {
    let file = fs::openat(dir, name, OFlags::RDWR | create | SAFE, FILE_MODE)?;
    if !is_plain(&fs::fstat(&file)?, uid) {
        return Err(Errno::LOOP);
    }
    insist(file.as_fd(), FILE_MODE)?;
    Ok(file)
}

/// Sets the mode if the umask took some of it away.
pub(crate) fn insist(file: BorrowedFd<'_>, mode: Mode) -> Result<()> {
    if Mode::from_raw_mode(fs::fstat(file)?.st_mode) == mode {
        return Ok(());
    }
    fs::fchmod(file, mode)
}
