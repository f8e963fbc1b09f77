//! Records that are read and touched: plain files of ours. Every call here blocks.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::fs::{self, AtFlags, Mode, OFlags};
use rustix::io::{self, Errno, Result, retry_on_intr};
use session_core::SessionKey;

use crate::io::{SAFE, is_plain};
use crate::layout::{self, Name};
use crate::record::{Bad, Header, LIFETIME, Lifetime, MAX_HEAD};

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
    file: OwnedFd,
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

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use rustix::fs::RenameFlags;

    use super::*;
    use crate::io::{FILE_MODE, remove};

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
