//! A clock that is wrong on demand.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use session_core::{Clock, SystemClock, Timestamp};

/// The most by which a clock is wrong, in milliseconds. Two may be apart by twice
/// as much.
pub(crate) const SKEW: i64 = 250;

/// The time of day, and how wrong it is. Clones are the same clock.
#[derive(Clone, Debug, Default)]
pub(crate) struct SkewedClock(Arc<AtomicI64>);

impl SkewedClock {
    /// Sets by how many milliseconds it is wrong. It jumps there.
    pub(crate) fn set(&self, millis: i64) {
        self.0.store(millis, Ordering::Relaxed);
    }

    /// Returns it as what stores take.
    pub(crate) fn shared(&self) -> Arc<dyn Clock> {
        Arc::new(self.clone())
    }
}

impl Clock for SkewedClock {
    fn now(&self) -> Timestamp {
        let (now, off) = (SystemClock.now(), self.0.load(Ordering::Relaxed));
        let by = Duration::from_millis(off.unsigned_abs());
        if off < 0 { now.before(by) } else { now.after(by) }
    }
}
