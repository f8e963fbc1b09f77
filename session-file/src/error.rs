//! From the system's error numbers to ours, in one place.

use std::io;

use rustix::io::Errno;
use session_core::{Error, ErrorKind, Operation};

use crate::record::Bad;

/// The engine's name.
pub(crate) const NAME: &str = "file";

/// Makes an error of this engine.
pub(crate) fn new(kind: ErrorKind, op: Operation, message: &'static str) -> Error {
    Error::new(kind, op, message).with_backend(NAME)
}

/// Reports an impossible setting.
pub(crate) fn invalid(message: &'static str) -> Error {
    new(ErrorKind::InvalidConfig, Operation::Configure, message)
}

/// Translates an error number.
///
/// `EROFS` is an outage and not a matter of permissions: Linux remounts a file
/// system read-only when its disk fails.
pub(crate) fn os(op: Operation, errno: Errno) -> Error {
    let (kind, message) = match errno {
        Errno::NOSPC | Errno::DQUOT => (
            ErrorKind::StorageFull,
            "the save path has no room left; free space or inodes (destroying sessions still works)",
        ),
        Errno::ACCESS | Errno::PERM => (
            ErrorKind::PermissionDenied,
            "the system refuses access to the save path; give it to the user of this program",
        ),
        Errno::ROFS => (
            ErrorKind::Unavailable,
            "the save path is read-only; remount it, and look for disk errors in the kernel's log",
        ),
        Errno::MFILE | Errno::NFILE => (
            ErrorKind::Unavailable,
            "no file descriptors are left; raise the limit (ulimit -n, LimitNOFILE)",
        ),
        Errno::NOMEM => (ErrorKind::Unavailable, "the system is out of memory"),
        Errno::IO | Errno::NODEV | Errno::NXIO => {
            (ErrorKind::Unavailable, "the disk reported an error; look at the kernel's log")
        }
        Errno::NOENT | Errno::STALE => return removed(op).with_source(io::Error::from(errno)),
        Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS => (
            ErrorKind::Unavailable,
            "the file system cannot lock or rename as needed; keep sessions on a local disk",
        ),
        Errno::LOOP | Errno::NOTDIR | Errno::ISDIR => (
            ErrorKind::Corrupt,
            "something that is not of this store lies under one of its names; look at the save path",
        ),
        Errno::FBIG => (ErrorKind::TooLarge, "the file would be larger than the system allows"),
        _ => (ErrorKind::Internal, "the system refused a file operation"),
    };
    new(kind, op, message).with_source(io::Error::from(errno))
}

/// Translates an error number of a step after which the change is visible
/// already, so that it may have happened.
pub(crate) fn late(op: Operation, errno: Errno) -> Error {
    os(op, errno).with_indeterminate(true)
}

/// Whether the whole system is in trouble, and not one file or directory.
pub(crate) fn is_everywhere(err: &Error) -> bool {
    let source = std::error::Error::source(err).and_then(|source| source.downcast_ref());
    let errno = source.and_then(Errno::from_io_error);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::ROFS))
}

/// The save path went away under a running program. Not to be mistaken for a
/// store without sessions.
pub(crate) fn removed(op: Operation) -> Error {
    new(
        ErrorKind::Unavailable,
        op,
        "the save path was removed while in use; restore it and restart the program",
    )
}

/// Reports a record that does not verify.
pub(crate) fn bad(op: Operation, bad: Bad) -> Error {
    new(ErrorKind::Corrupt, op, bad.message())
}
