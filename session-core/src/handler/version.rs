//! Names for the states that a record goes through.

use std::fmt;

use bytes::Bytes;

/// Names one state of a record, so that a later write can ask for it.
///
/// Opaque to everyone but the engine that made it: a counter, or where the
/// stored format has no room for one, the old payload itself.
///
/// A counter may carry a hint: what the engine read together with it and can
/// save a step with later. It takes no part in comparisons.
#[derive(Clone)]
pub struct Version(Repr);

#[derive(Clone)]
enum Repr {
    Counter(u64),
    Hinted(u64, Bytes),
    Opaque(Bytes),
}

impl Version {
    /// Makes a version from a counter.
    #[must_use]
    pub const fn counter(count: u64) -> Self {
        Self(Repr::Counter(count))
    }

    /// Makes a version from a counter and a hint.
    #[must_use]
    pub const fn hinted(count: u64, hint: Bytes) -> Self {
        Self(Repr::Hinted(count, hint))
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
            Repr::Counter(count) | Repr::Hinted(count, _) => Some(count),
            Repr::Opaque(_) => None,
        }
    }

    /// Returns the hint, or `None` if this version has none.
    #[must_use]
    pub const fn hint(&self) -> Option<&Bytes> {
        match &self.0 {
            Repr::Hinted(_, hint) => Some(hint),
            Repr::Counter(_) | Repr::Opaque(_) => None,
        }
    }

    /// Returns the bytes, or `None` if this version is a counter.
    #[must_use]
    pub const fn as_opaque(&self) -> Option<&Bytes> {
        match &self.0 {
            Repr::Opaque(bytes) => Some(bytes),
            Repr::Counter(_) | Repr::Hinted(..) => None,
        }
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.as_counter() == other.as_counter() && self.as_opaque() == other.as_opaque()
    }
}

impl Eq for Version {}

/// Shows a counter, and of anything else its length: it may be a payload.
impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Counter(count) | Repr::Hinted(count, _) => write!(f, "Version({count})"),
            Repr::Opaque(bytes) => write!(f, "Version({} bytes)", bytes.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_takes_no_part_in_comparisons_and_is_not_shown() {
        let hinted = Version::hinted(7, Bytes::from_static(b"payload"));
        assert_eq!(hinted, Version::counter(7));
        assert_ne!(hinted, Version::hinted(8, Bytes::from_static(b"payload")));
        assert_ne!(hinted, Version::opaque(Bytes::from_static(b"payload")));
        assert_eq!(hinted.as_counter(), Some(7));
        assert_eq!(hinted.hint().unwrap(), "payload");
        assert_eq!(format!("{hinted:?}"), "Version(7)");
    }
}
