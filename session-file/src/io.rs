//! Plain files in a held directory. Every call here blocks.

use std::cell::Cell;
use std::ffi::CStr;
use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::buffer::spare_capacity;
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, RenameFlags, Stat};
use rustix::io::{self, Errno, Result, retry_on_intr};
use session_core::{OsRandom, Random, SessionKey};

use crate::layout::{self, Name};
use crate::record::{Bad, Header, LIFETIME, Lifetime, MAX_HEAD};

/// How every file is opened: never through a link, never waiting for the other
/// end of a pipe, never inherited by a child.
pub(crate) const SAFE: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);
pub(crate) const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);
pub(crate) const DIR_MODE: Mode = Mode::RWXU;
/// Reads of a lifetime before it counts as damaged. A touch writes it in well
/// under a microsecond.
const LIFETIME_READS: usize = 64;

/// Why a file could not be used.
pub(crate) enum Trouble {
    /// The system said no.
    Os(Errno),
    /// The file does not verify.
    Bad(Bad),
}

impl From<Errno> for Trouble {
    fn from(errno: Errno) -> Self {
        match errno {
            // What a link, a socket or a device under a record's name answers.
            Errno::LOOP | Errno::NXIO | Errno::ISDIR => Self::Bad(Bad::NotPlain),
            errno => Self::Os(errno),
        }
    }
}

impl From<Bad> for Trouble {
    fn from(bad: Bad) -> Self {
        Self::Bad(bad)
    }
}

/// An open file that has been found to be ours alone.
pub(crate) struct Plain {
    pub(crate) file: OwnedFd,
    pub(crate) size: u64,
    inode: u64,
}

impl Plain {
    /// Opens a record. `None` if there is none.
    pub(crate) fn open(
        dir: BorrowedFd<'_>,
        name: &Name,
        access: OFlags,
        uid: u32,
    ) -> std::result::Result<Option<Self>, Trouble> {
        let file = match fs::openat(dir, name.as_c_str(), access | SAFE, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        let stat = fs::fstat(&file)?;
        if !is_plain(&stat, uid) {
            return Err(Bad::NotPlain.into());
        }
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        Ok(Some(Self { file, size, inode: stat.st_ino }))
    }

    /// Whether the name still stands for this file.
    pub(crate) fn has_name(&self, dir: BorrowedFd<'_>, name: &Name) -> Result<bool> {
        match fs::statat(dir, name.as_c_str(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(stat.st_ino == self.inode),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    /// Reads the whole file into one buffer of its size.
    pub(crate) fn read(&self) -> Result<Vec<u8>> {
        let size = usize::try_from(self.size).map_err(|_| Errno::FBIG)?;
        let mut bytes = Vec::with_capacity(size);
        while bytes.len() < size {
            if retry_on_intr(|| io::read(&self.file, spare_capacity(&mut bytes)))? == 0 {
                break;
            }
        }
        Ok(bytes)
    }

    /// Reads what comes before the payload.
    pub(crate) fn read_head(self) -> Result<Head> {
        let mut bytes = [0; MAX_HEAD];
        let len = retry_on_intr(|| io::pread(&self.file, &mut bytes[..], 0))?;
        Ok(Head { file: self, bytes, len })
    }

    /// Takes the lifetime from bytes that were read, and reads it again for as
    /// long as a touch is in the middle of it.
    pub(crate) fn lifetime(&self, head: &[u8]) -> std::result::Result<Lifetime, Trouble> {
        if let Some(lifetime) = Lifetime::decode(&head[LIFETIME]) {
            return Ok(lifetime);
        }
        let mut bytes = [0; LIFETIME.end - LIFETIME.start];
        for _ in 0..LIFETIME_READS {
            retry_on_intr(|| io::pread(&self.file, &mut bytes[..], LIFETIME.start as u64))?;
            if let Some(lifetime) = Lifetime::decode(&bytes) {
                return Ok(lifetime);
            }
            std::thread::yield_now();
        }
        Err(Bad::Damaged.into())
    }
}

/// A plain file of ours that nobody else can read. A record that was replaced
/// after it was opened has no link left, and is still the record we opened.
fn is_plain(stat: &Stat, uid: u32) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
        && stat.st_uid == uid
        && stat.st_mode & 0o077 == 0
        && stat.st_nlink <= 1
}

/// A record of which all but the payload has been read.
pub(crate) struct Head {
    file: Plain,
    bytes: [u8; MAX_HEAD],
    len: usize,
}

impl Head {
    /// Opens a record and reads its head. `None` if there is none.
    pub(crate) fn open(
        dir: BorrowedFd<'_>,
        key: &SessionKey,
        access: OFlags,
        uid: u32,
    ) -> std::result::Result<Option<Self>, Trouble> {
        match Plain::open(dir, &layout::record(key), access, uid)? {
            Some(file) => Ok(Some(file.read_head()?)),
            None => Ok(None),
        }
    }

    /// Verifies the head.
    pub(crate) fn verify(
        &self,
        key: &SessionKey,
    ) -> std::result::Result<(Header<'_>, Lifetime), Trouble> {
        let head = &self.bytes[..self.len];
        let header = Header::decode(head, self.file.size, key)?;
        Ok((header, self.file.lifetime(head)?))
    }

    /// Moves the lifetime by one write in place.
    pub(crate) fn touch(&self, lifetime: Lifetime, durable: bool) -> Result<()> {
        let bytes = lifetime.encode();
        let file = &self.file.file;
        if retry_on_intr(|| io::pwrite(file, &bytes, LIFETIME.start as u64))? != bytes.len() {
            return Err(Errno::IO);
        }
        if durable { fs::fdatasync(file) } else { Ok(()) }
    }
}

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

    /// Fills the shard's spare file, made if it is missing. The caller holds the
    /// shard's lock, and keeps it until the file is a record.
    pub(crate) fn spare(
        dir: BorrowedFd<'a>,
        head: &[u8],
        payload: &[u8],
        uid: u32,
    ) -> Result<Self> {
        let name = layout::spare();
        let (temp, file, size) =
            match fs::openat(dir, name.as_c_str(), OFlags::WRONLY | SAFE, Mode::empty()) {
                Ok(file) => {
                    let stat = fs::fstat(&file)?;
                    if !is_plain(&stat, uid) {
                        return Err(Errno::LOOP);
                    }
                    let size = u64::try_from(stat.st_size).unwrap_or(0);
                    (Self { dir, name, spare: true, armed: Cell::new(true) }, file, size)
                }
                Err(Errno::NOENT) => {
                    let (temp, file) = Self::create(dir, name, true)?;
                    (temp, file, 0)
                }
                Err(errno) => return Err(errno),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_swapped_out_or_removed_has_lost_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let dir =
            fs::open(folder.path(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
        let dir = dir.as_fd();
        let key = SessionKey::from_bytes([7; 32]);
        let (name, other) = (layout::record(&key), layout::temp([1; 8]));
        for name in [&name, &other] {
            let flags = OFlags::WRONLY | OFlags::CREATE | SAFE;
            drop(fs::openat(dir, name.as_c_str(), flags, FILE_MODE).unwrap());
        }
        let uid = rustix::process::getuid().as_raw();
        let Ok(Some(file)) = Plain::open(dir, &name, OFlags::RDONLY, uid) else {
            panic!("the file is plain")
        };
        assert!(file.has_name(dir, &name).unwrap());

        let (from, to) = (other.as_c_str(), name.as_c_str());
        fs::renameat_with(dir, from, dir, to, RenameFlags::EXCHANGE).unwrap();
        assert!(!file.has_name(dir, &name).unwrap());
        remove(dir, to).unwrap();
        assert!(!file.has_name(dir, &name).unwrap());
    }
}
