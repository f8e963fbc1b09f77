//! What can go wrong, in terms a caller can branch on.

use std::borrow::Cow;
use std::fmt;

/// The result of every fallible call in the workspace.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What went wrong, in terms a caller can branch on.
///
/// Kinds describe the *caller's* options, not the engine's vocabulary: a MySQL
/// deadlock and a Redis `BUSY` are both [`Unavailable`](Self::Unavailable), to be
/// tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The store cannot be reached or refuses work right now.
    Unavailable,
    /// The store did not answer in time. The operation may still have happened.
    Timeout,
    /// Another writer changed the session first.
    Conflict,
    /// The key of a new record is taken.
    AlreadyExists,
    /// The session ended (destroyed, expired or moved to a new id), so it cannot be written.
    Gone,
    /// A limit on bytes, keys or depth would be passed.
    TooLarge,
    /// The owner has as many sessions as are allowed.
    TooMany,
    /// The store has no room left. Destroying sessions still works.
    StorageFull,
    /// The store refuses this program's credentials or file permissions.
    PermissionDenied,
    /// Stored bytes do not verify.
    Corrupt,
    /// A value is there, but of another type than was asked for.
    TypeMismatch,
    /// The session's lock could not be had in time, or was lost.
    Locked,
    /// The session was opened without its store, and cannot be changed.
    Degraded,
    /// The response headers have left: no new session can reach the client, or what
    /// was changed since was never saved.
    Late,
    /// The text is not a session id.
    InvalidId,
    /// A text from a client or a caller is not what it should be: a cursor, an
    /// owner's name.
    InvalidInput,
    /// A setting is impossible or unknown.
    InvalidConfig,
    /// The engine or serializer cannot do this.
    Unsupported,
    /// A defect in this program or in the engine.
    Internal,
}

impl ErrorKind {
    /// Returns the stable lower-case name, fit for a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Conflict => "conflict",
            Self::AlreadyExists => "already_exists",
            Self::Gone => "gone",
            Self::TooLarge => "too_large",
            Self::TooMany => "too_many",
            Self::StorageFull => "storage_full",
            Self::PermissionDenied => "permission_denied",
            Self::Corrupt => "corrupt",
            Self::TypeMismatch => "type_mismatch",
            Self::Locked => "locked",
            Self::Degraded => "degraded",
            Self::Late => "late",
            Self::InvalidId => "invalid_id",
            Self::InvalidInput => "invalid_input",
            Self::InvalidConfig => "invalid_config",
            Self::Unsupported => "unsupported",
            Self::Internal => "internal",
        }
    }

    /// Returns whether the store failed, as opposed to the caller or the data.
    ///
    /// These are the errors that a policy for outages applies to.
    #[must_use]
    pub const fn is_outage(self) -> bool {
        matches!(
            self,
            Self::Unavailable | Self::Timeout | Self::StorageFull | Self::PermissionDenied
        )
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The operation that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Checking settings.
    Configure,
    /// Connecting to a store and checking it.
    Open,
    /// Reading a record.
    Read,
    /// Inserting a record.
    Create,
    /// Replacing a record.
    Write,
    /// Extending a record's lifetime.
    Touch,
    /// Removing a record.
    Destroy,
    /// Collecting expired records.
    Gc,
    /// Closing a store.
    Close,
    /// Taking, renewing or freeing a lock.
    Lock,
    /// Listing records.
    List,
    /// Using the index of owners.
    Index,
    /// Turning values into bytes.
    Encode,
    /// Turning bytes into values.
    Decode,
    /// Drawing or checking a session id.
    Id,
    /// Changing a session in memory.
    Change,
}

impl Operation {
    /// Returns the stable lower-case name, fit for a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Configure => "configure",
            Self::Open => "open",
            Self::Read => "read",
            Self::Create => "create",
            Self::Write => "write",
            Self::Touch => "touch",
            Self::Destroy => "destroy",
            Self::Gc => "gc",
            Self::Close => "close",
            Self::Lock => "lock",
            Self::List => "list",
            Self::Index => "index",
            Self::Encode => "encode",
            Self::Decode => "decode",
            Self::Id => "id",
            Self::Change => "change",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error from a session operation.
///
/// One word wide. The message never contains a session id, a payload or a
/// credential; engines put driver errors in [`source`](std::error::Error::source).
///
/// ```
/// use session_core::{Error, ErrorKind, Operation};
///
/// let err = Error::new(ErrorKind::Timeout, Operation::Read, "no reply in 500 ms")
///     .with_backend("redis");
/// assert_eq!(err.to_string(), "redis read failed (timeout): no reply in 500 ms");
/// assert!(err.is_indeterminate());
/// ```
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(Box<Repr>);

#[derive(Debug, thiserror::Error)]
#[error("{backend} {op} failed ({kind}): {message}")]
struct Repr {
    kind: ErrorKind,
    op: Operation,
    indeterminate: bool,
    backend: &'static str,
    message: Cow<'static, str>,
    #[source]
    source: Option<BoxError>,
}

impl Error {
    /// Makes an error. The message says what happened and, where there is
    /// something to do, what to do next.
    #[must_use]
    pub fn new(kind: ErrorKind, op: Operation, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Repr {
            kind,
            op,
            indeterminate: matches!(kind, ErrorKind::Timeout),
            backend: "session",
            message: message.into(),
            source: None,
        }))
    }

    /// Makes the error of a handler that is to change a session which has ended.
    ///
    /// This and the next three are what a handler refuses a call with, so that all
    /// of them say it in the same words.
    #[must_use]
    pub fn gone(op: Operation) -> Self {
        Self::new(ErrorKind::Gone, op, "the session has ended; begin a new one")
    }

    /// Makes the error of a handler that is to create a record under a key that is taken.
    #[must_use]
    pub fn already_exists() -> Self {
        let message = "the key is taken; draw another id";
        Self::new(ErrorKind::AlreadyExists, Operation::Create, message)
    }

    /// Makes the error of a handler that has another version than it was asked to
    /// change.
    #[must_use]
    pub fn conflict(op: Operation) -> Self {
        let message = "somebody else wrote first; read the session again";
        Self::new(ErrorKind::Conflict, op, message)
    }

    /// Makes the error of a handler that is to write under a lock which has passed on.
    #[must_use]
    pub fn lock_lost(op: Operation) -> Self {
        Self::new(ErrorKind::Locked, op, "the lock was lost; read the session again")
    }

    /// Names the engine that failed.
    #[must_use]
    pub fn with_backend(mut self, backend: &'static str) -> Self {
        self.0.backend = backend;
        self
    }

    /// Keeps the error underneath.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Says whether the operation may have happened in spite of the error.
    ///
    /// Only [`ErrorKind::Timeout`] means so by itself. An engine that lost its
    /// connection after sending must say it.
    #[must_use]
    pub fn with_indeterminate(mut self, indeterminate: bool) -> Self {
        self.0.indeterminate = indeterminate;
        self
    }

    /// Returns what went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the operation that failed.
    #[must_use]
    pub fn operation(&self) -> Operation {
        self.0.op
    }

    /// Returns the engine that failed, or `"session"`.
    #[must_use]
    pub fn backend(&self) -> &'static str {
        self.0.backend
    }

    /// Returns whether the operation may have happened, or may still happen.
    ///
    /// `false` means that it certainly did not, so that it is safe to try again.
    #[must_use]
    pub fn is_indeterminate(&self) -> bool {
        self.0.indeterminate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_is_one_line_and_source_is_chained() {
        let err = Error::new(ErrorKind::Timeout, Operation::Read, "no reply in 500 ms")
            .with_backend("redis")
            .with_source(std::io::Error::other("socket"));
        assert_eq!(err.to_string(), "redis read failed (timeout): no reply in 500 ms");
        assert_eq!(std::error::Error::source(&err).unwrap().to_string(), "socket");
    }

    #[test]
    fn an_error_is_one_word_wide() {
        assert_eq!(size_of::<Result<()>>(), size_of::<usize>());
    }

    #[test]
    fn only_a_timeout_is_indeterminate_unless_the_engine_says_so() {
        let make = |kind| Error::new(kind, Operation::Write, "");
        assert!(make(ErrorKind::Timeout).is_indeterminate());
        assert!(!make(ErrorKind::Unavailable).is_indeterminate());
        assert!(make(ErrorKind::Unavailable).with_indeterminate(true).is_indeterminate());
    }
}
