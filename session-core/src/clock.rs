//! What time it is, as a value that tests can set.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment: milliseconds since 1970-01-01 UTC, good for 584 million years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The moment after all others; what never ends ends then.
    pub const MAX: Self = Self(u64::MAX);

    /// Makes a moment from milliseconds since the epoch.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Returns the milliseconds since the epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Returns the moment `duration` later, or [`MAX`](Self::MAX). Parts of a
    /// millisecond count as a whole one, so that nothing ends early.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        let millis = duration.as_secs().saturating_mul(1000);
        let part = duration.subsec_nanos().div_ceil(1_000_000);
        Self(self.0.saturating_add(millis).saturating_add(part.into()))
    }

    /// Returns the moment `duration` earlier, or the epoch.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// Returns how long after `earlier` this is, or zero.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// A clock, passed as a value so that tests can set it.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Returns the present moment.
    fn now(&self) -> Timestamp;
}

/// The system's wall clock. The default.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(
            since_epoch
                .as_secs()
                .saturating_mul(1000)
                .saturating_add(since_epoch.subsec_millis().into()),
        )
    }
}

/// A clock that moves only when told to. Clones share the same time.
///
/// ```
/// use std::time::Duration;
/// use session_core::{Clock, ManualClock};
///
/// let clock = ManualClock::new();
/// let start = clock.now();
/// clock.advance(Duration::from_secs(3600));
/// assert_eq!(clock.now().since(start), Duration::from_secs(3600));
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// Makes a clock that stands at the present moment.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(AtomicU64::new(SystemClock.now().0)))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.0.fetch_add(by, Ordering::SeqCst);
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_saturate_instead_of_wrapping() {
        assert_eq!(Timestamp(5).after(Duration::MAX), Timestamp::MAX);
        assert_eq!(Timestamp(5).before(Duration::from_secs(1)), Timestamp(0));
        assert_eq!(Timestamp(5).since(Timestamp(9)), Duration::ZERO);
    }

    #[test]
    fn a_part_of_a_millisecond_is_rounded_up() {
        assert_eq!(Timestamp(0).after(Duration::from_nanos(1)), Timestamp(1));
        assert_eq!(Timestamp(0).after(Duration::from_nanos(999_999_999)), Timestamp(1000));
    }
}
