//! Names for the states that a record goes through.

use std::fmt;

use bytes::Bytes;

/// Names one state of a record, so that a later write can ask for it.
///
/// A counter that has meaning only to the engine that made it. It may carry a
/// hint: what the engine read together with it and can save a step with later.
/// The hint takes no part in comparisons.
///
/// # For implementors
///
/// A number must never repeat for a key, not even after the record was destroyed or
/// has expired: whoever still holds the old version would then write to, or destroy,
/// a session that is not the one that it read. A counter that starts at 1 in each new
/// record repeats: start it at [`Random::number`](crate::Random::number), and add to it
/// with each write, or take the numbers from a sequence of the store.
#[derive(Clone)]
pub struct Version {
    count: u64,
    hint: Option<Bytes>,
}

impl Version {
    /// Makes a version from a counter.
    #[must_use]
    pub const fn counter(count: u64) -> Self {
        Self { count, hint: None }
    }

    /// Makes a version from a counter and a hint.
    #[must_use]
    pub const fn hinted(count: u64, hint: Bytes) -> Self {
        Self { count, hint: Some(hint) }
    }

    /// Returns the counter. Every version has one today; `None` is for those of
    /// another kind that may come.
    #[must_use]
    pub const fn as_counter(&self) -> Option<u64> {
        Some(self.count)
    }

    /// Returns the hint, or `None` if this version has none.
    #[must_use]
    pub const fn hint(&self) -> Option<&Bytes> {
        self.hint.as_ref()
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.count == other.count
    }
}

impl Eq for Version {}

/// Shows the counter and not the hint: that may be a payload.
impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({})", self.count)
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
        assert_eq!(hinted.as_counter(), Some(7));
        assert_eq!(hinted.hint().unwrap(), "payload");
        assert_eq!(format!("{hinted:?}"), "Version(7)");
    }
}
