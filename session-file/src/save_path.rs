//! The directory that everything lies in.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex};

use rustix::fs::{self, FileType, Mode, OFlags};
use rustix::io::Errno;
use session_core::{Error, ErrorKind, Operation, Result};

use crate::shard::{Shards, lock, make_dir, open_own_dir};
use crate::{error, io, layout};

/// The save path, held open: whatever happens to its name later, we stay in
/// the directory that was checked.
#[derive(Debug)]
pub(crate) struct SavePath {
    dir: OwnedFd,
    uid: u32,
    sessions: Shards,
    owners: Mutex<Option<Arc<Shards>>>,
}

impl SavePath {
    /// Opens the save path, and makes it if it is missing.
    pub(crate) fn open(path: &Path, durable: bool) -> Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = || fs::open(path, flags, Mode::empty());
        let opened = match open() {
            Err(Errno::NOENT) => make(path, durable).and_then(|()| open()),
            other => other,
        };
        let dir = opened.map_err(|errno| refused(path, errno))?;
        let uid = rustix::process::geteuid().as_raw();
        let fail = |errno| error::os(Operation::Open, errno);
        let stat = fs::fstat(&dir).map_err(fail)?;
        if stat.st_uid != uid {
            return Err(permission(
                "the save path belongs to another user; chown it to the user of this program",
            ));
        }
        if stat.st_mode & 0o022 != 0 {
            return Err(permission(
                "other users may write to the save path; take that away with chmod go-w",
            ));
        }
        let parent = dir.try_clone().map_err(|err| {
            error::new(ErrorKind::Unavailable, Operation::Open, "no file descriptors are left")
                .with_source(err)
        })?;
        Ok(Self { dir, uid, sessions: Shards::kept(parent, uid), owners: Mutex::default() })
    }

    pub(crate) fn uid(&self) -> u32 {
        self.uid
    }

    /// Returns the directories of the records.
    pub(crate) fn sessions(&self) -> &Shards {
        &self.sessions
    }

    /// Returns the directories of the owners' markers. `None` if they are missing.
    pub(crate) fn owners(&self) -> Result<Option<Arc<Shards>>, Errno> {
        let mut owners = lock(&self.owners);
        if owners.is_none() {
            match open_own_dir(self.dir(), layout::OWNERS, self.uid) {
                Ok(dir) => *owners = Some(Arc::new(Shards::reopened(dir, self.uid))),
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(owners.clone())
    }

    /// Returns the directories of the owners' markers, made if they are missing.
    pub(crate) fn make_owners(&self, durable: bool) -> Result<Arc<Shards>, Errno> {
        if let Some(owners) = self.owners()? {
            return Ok(owners);
        }
        make_dir(self.dir(), layout::OWNERS)?;
        if durable {
            fs::fsync(&self.dir)?;
        }
        self.owners()?.ok_or(Errno::NOENT)
    }

    /// Lets go of the owners' directories, so that the next call looks for new ones.
    pub(crate) fn forget_owners(&self) {
        *lock(&self.owners) = None;
    }

    /// Fails if the directory was removed, so that its emptiness is not taken
    /// for a store without sessions.
    pub(crate) fn check(&self, op: Operation) -> Result<()> {
        match fs::fstat(&self.dir) {
            Ok(stat) if stat.st_nlink > 0 => Ok(()),
            Ok(_) => Err(error::removed(op)),
            Err(errno) => Err(error::os(op, errno)),
        }
    }

    fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }
}

/// Makes a directory and those above it, for us alone.
fn make(path: &Path, durable: bool) -> Result<(), Errno> {
    let made = match fs::mkdir(path, io::DIR_MODE) {
        Err(Errno::NOENT) => {
            make(path.parent().ok_or(Errno::NOENT)?, durable)?;
            // Once: there are directories, /proc for one, in which nothing can be made.
            fs::mkdir(path, io::DIR_MODE)
        }
        made => made,
    };
    match made {
        Ok(()) => fs::chmod(path, io::DIR_MODE)?,
        Err(Errno::EXIST) => return Ok(()),
        Err(errno) => return Err(errno),
    }
    if durable && let Some(parent) = path.parent() {
        let parent = fs::open(parent, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        fs::fsync(&parent)?;
    }
    Ok(())
}

fn refused(path: &Path, errno: Errno) -> Error {
    if errno == Errno::NOENT {
        let message = "the save path cannot be made there; name another one";
        return error::new(ErrorKind::InvalidConfig, Operation::Open, message);
    }
    if !matches!(errno, Errno::NOTDIR | Errno::LOOP) {
        return error::os(Operation::Open, errno);
    }
    let is_link = fs::lstat(path)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink);
    let message = if is_link {
        "the save path is a symbolic link; name the directory it leads to"
    } else {
        "the save path is not a directory"
    };
    error::new(ErrorKind::InvalidConfig, Operation::Open, message)
}

fn permission(message: &'static str) -> Error {
    error::new(ErrorKind::PermissionDenied, Operation::Open, message)
}
