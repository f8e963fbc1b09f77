//! When a write may happen, and what goes with it.

use std::time::Duration;

use super::Version;
use crate::{FencingToken, Operation, Owner};

/// When a write may happen.
///
/// Exhaustive on purpose: a handler that overlooks a mode does not compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// Only if the key is free; else [`AlreadyExists`](crate::ErrorKind::AlreadyExists).
    /// An expired record counts as free.
    Create,
    /// Only if the session still lives; else [`Gone`](crate::ErrorKind::Gone).
    Replace,
    /// Only if the session lives, else [`Gone`](crate::ErrorKind::Gone), and nobody
    /// wrote since that version, else [`Conflict`](crate::ErrorKind::Conflict).
    IfVersion(Version),
}

impl WriteMode {
    /// Returns the operation that errors of such a write name.
    #[must_use]
    pub const fn operation(&self) -> Operation {
        match self {
            Self::Create => Operation::Create,
            Self::Replace | Self::IfVersion(_) => Operation::Write,
        }
    }
}

/// How to write a record.
///
/// Lifetimes are durations: the store's clock decides when they are over.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WriteOptions {
    /// When the write may happen.
    pub mode: WriteMode,
    /// The lifetime, counted from now; what a touch restarts.
    pub idle: Duration,
    /// What is left until the deadline that no touch passes. `None` for no such
    /// deadline. The record expires at the earlier of both.
    pub absolute: Option<Duration>,
    /// How long ago the session began; shown in lists.
    pub age: Duration,
    /// Whom the session belongs to, for the index. `None` takes it out of the index.
    pub owner: Option<Owner>,
    /// Whether this is a mere pointer to another record: stored like any other,
    /// and left out of lists, counts and the index.
    pub pointer: bool,
    /// The lock under which to write. If the lock has passed to somebody else,
    /// the write is refused with [`Locked`](crate::ErrorKind::Locked). Ignored by
    /// handlers that have no [`locker`](crate::SessionHandler::locker).
    pub fence: Option<FencingToken>,
}

impl WriteOptions {
    /// Asks for a plain write with an idle lifetime only.
    #[must_use]
    pub const fn new(mode: WriteMode, idle: Duration) -> Self {
        Self {
            mode,
            idle,
            absolute: None,
            age: Duration::ZERO,
            owner: None,
            pointer: false,
            fence: None,
        }
    }

    /// Sets the deadline that no touch passes, counted from now.
    #[must_use]
    pub const fn with_absolute(mut self, absolute: Duration) -> Self {
        self.absolute = Some(absolute);
        self
    }

    /// Sets whom the session belongs to.
    #[must_use]
    pub fn with_owner(mut self, owner: Owner) -> Self {
        self.owner = Some(owner);
        self
    }

    /// Marks the record as a mere pointer.
    #[must_use]
    pub const fn as_pointer(mut self) -> Self {
        self.pointer = true;
        self
    }

    /// Sets the lock under which to write.
    #[must_use]
    pub const fn with_fence(mut self, fence: FencingToken) -> Self {
        self.fence = Some(fence);
        self
    }

    /// Returns how long the record lives from now if nobody touches it.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        self.absolute.map_or(self.idle, |absolute| absolute.min(self.idle))
    }
}
