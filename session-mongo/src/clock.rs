//! What the server's clock says, as its replies told.
//!
//! An insert cannot ask for the server's time, so a new record's deadline is
//! computed here, from a clock that the replies to reads set. The application's
//! own clock does not matter: only time that passes is taken from it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// After this long without a reply the clock is not believed any more: by then
/// two computers' clocks may be some hundredths of a second apart.
const FRESH: Duration = Duration::from_secs(60);
/// If the wall clock moved by so much more or less than time passed, the
/// computer slept or was set, and the server's clock may be anywhere.
const JUMP: Duration = Duration::from_secs(1);

/// The server's clock, right to within the round trip of the last read.
#[derive(Debug)]
pub(crate) struct ServerClock {
    start: Instant,
    sample: Mutex<Option<Sample>>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    /// What the server's clock said at `start`, in milliseconds since 1970.
    at_start: i64,
    taken: Instant,
    wall: SystemTime,
}

impl ServerClock {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), sample: Mutex::new(None) }
    }

    /// Takes the server's time from a reply to what was sent at `sent`.
    pub(crate) fn learn(&self, sent: Instant, server: i64) {
        self.learn_at(sent, server, Instant::now(), SystemTime::now());
    }

    /// Returns the server's time in milliseconds since 1970, or `None` if no
    /// reply has told of late.
    pub(crate) fn now(&self) -> Option<i64> {
        self.now_at(Instant::now(), SystemTime::now())
    }

    fn learn_at(&self, sent: Instant, server: i64, taken: Instant, wall: SystemTime) {
        // The server looked at its clock between the two: what is known already
        // may be better than either.
        let earliest = server - self.since_start(taken);
        let latest = server - self.since_start(sent);
        let mut sample = self.sample.lock().unwrap_or_else(PoisonError::into_inner);
        let known = sample.map_or(earliest, |sample| sample.at_start);
        let at_start = known.max(earliest).min(latest.max(earliest));
        *sample = Some(Sample { at_start, taken, wall });
    }

    fn now_at(&self, now: Instant, wall: SystemTime) -> Option<i64> {
        let sample = (*self.sample.lock().unwrap_or_else(PoisonError::into_inner))?;
        let passed = now.saturating_duration_since(sample.taken);
        let by_wall = wall.duration_since(sample.wall).unwrap_or_default();
        let steady = passed < FRESH && passed.abs_diff(by_wall) < JUMP;
        steady.then(|| sample.at_start + self.since_start(now))
    }

    fn since_start(&self, moment: Instant) -> i64 {
        let passed = moment.saturating_duration_since(self.start);
        i64::try_from(passed.as_millis()).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const SERVER: i64 = 1_800_000_000_000;

    /// Plays a reply that says `server` and took from `sent` to `taken`, by a
    /// wall clock that goes right.
    fn learn(clock: &ServerClock, sent: Duration, server: i64, taken: Duration) {
        let wall = SystemTime::UNIX_EPOCH + taken;
        clock.learn_at(clock.start + sent, server, clock.start + taken, wall);
    }

    fn now(clock: &ServerClock, at: Duration) -> Option<i64> {
        clock.now_at(clock.start + at, SystemTime::UNIX_EPOCH + at)
    }

    #[test]
    fn nothing_is_known_before_the_first_reply() {
        assert_eq!(ServerClock::new().now(), None);
    }

    #[test]
    fn it_is_right_to_within_a_round_trip() {
        let clock = ServerClock::new();
        learn(&clock, SECOND, SERVER, 2 * SECOND);
        let told = now(&clock, 5 * SECOND).unwrap();
        assert!((SERVER + 3000..=SERVER + 4000).contains(&told), "{told}");
    }

    #[test]
    fn a_slow_reply_does_not_spoil_what_a_quick_one_told() {
        let clock = ServerClock::new();
        learn(&clock, SECOND, SERVER, SECOND);
        learn(&clock, 2 * SECOND, SERVER + 1000, 20 * SECOND);
        assert_eq!(now(&clock, 21 * SECOND), Some(SERVER + 20_000));
    }

    #[test]
    fn it_follows_a_server_whose_clock_was_set_or_that_is_another_one() {
        let clock = ServerClock::new();
        learn(&clock, SECOND, SERVER, SECOND);
        for off in [-3_600_000, 3_600_000, 0] {
            learn(&clock, 2 * SECOND, SERVER + 1000 + off, 2 * SECOND);
            assert_eq!(now(&clock, 2 * SECOND), Some(SERVER + 1000 + off));
        }
    }

    #[test]
    fn it_is_not_believed_for_long_nor_after_a_sleep() {
        let clock = ServerClock::new();
        learn(&clock, SECOND, SERVER, SECOND);
        assert_eq!(now(&clock, 62 * SECOND), None);
        let awake = clock.start + 2 * SECOND;
        let slept = SystemTime::UNIX_EPOCH + 600 * SECOND;
        assert_eq!(clock.now_at(awake, slept), None);
        let set_back = SystemTime::UNIX_EPOCH;
        assert_eq!(clock.now_at(awake, set_back), None);
    }
}
