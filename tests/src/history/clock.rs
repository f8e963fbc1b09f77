//! The one clock of all processes on this host.

use rustix::time::{ClockId, clock_gettime};

/// Returns the nanoseconds on the host's monotonic clock, which is the same for
/// all its processes and goes on while they are stopped.
#[must_use]
pub fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or_default()
}
