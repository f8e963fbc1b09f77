//! Names for the states that a record goes through.

use std::fmt;

use bytes::Bytes;

/// Names one state of a record, so that a later write can ask for it.
///
/// Opaque to everyone but the engine that made it: a counter, or where the
/// stored format has no room for one, the old payload itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Version(Repr);

#[derive(Clone, PartialEq, Eq)]
enum Repr {
    Counter(u64),
    Opaque(Bytes),
}

impl Version {
    /// Makes a version from a counter.
    #[must_use]
    pub const fn counter(count: u64) -> Self {
        Self(Repr::Counter(count))
    }

    /// Makes a version from bytes that only the engine understands.
    #[must_use]
    pub const fn opaque(bytes: Bytes) -> Self {
        Self(Repr::Opaque(bytes))
    }

    /// Returns the counter, or `None` if this version is not one.
    #[must_use]
    pub const fn as_counter(&self) -> Option<u64> {
        match self.0 {
            Repr::Counter(count) => Some(count),
            Repr::Opaque(_) => None,
        }
    }

    /// Returns the bytes, or `None` if this version is a counter.
    #[must_use]
    pub const fn as_opaque(&self) -> Option<&Bytes> {
        match &self.0 {
            Repr::Opaque(bytes) => Some(bytes),
            Repr::Counter(_) => None,
        }
    }
}

/// Shows a counter, and of anything else its length: it may be a payload.
impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Counter(count) => write!(f, "Version({count})"),
            Repr::Opaque(bytes) => write!(f, "Version({} bytes)", bytes.len()),
        }
    }
}
