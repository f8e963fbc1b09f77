//! What may happen to a session, and what happens when something goes wrong.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use crate::limits::{MAX_BYTES, MAX_ENTRIES};
use crate::{Error, ErrorKind, Operation, Profile, Result};

/// The longest grace after a change of id, and the life of the pointer that
/// lets a logout by the old id end the session: 60 s.
pub(crate) const POINTER_LIFE: Duration = Duration::from_secs(60);

/// What may happen to a session, and what happens when something goes wrong.
///
/// ```
/// use std::time::Duration;
/// use session_core::{Conflict, Policy};
///
/// let mut policy = Policy::default();
/// policy.idle = Duration::from_secs(900);
/// policy.conflict = Conflict::Strict;
/// assert!(policy.check().is_ok());
///
/// policy.grace = Duration::from_secs(3600);
/// assert!(policy.check().is_err());
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Policy {
    /// How long a session lives without being used. Default 1,440 s, PHP's
    /// `session.gc_maxlifetime`.
    pub idle: Duration,
    /// How long a session lives at the most, from its creation or the last
    /// [`mark_authenticated`](crate::Session::mark_authenticated), however much it is
    /// used. Default 12 h (NIST SP 800-63B-4, AAL3). `None` for no such limit.
    pub absolute: Option<Duration>,
    /// The least time between two extensions of a session that is only read; each
    /// costs a write. A session may therefore end up to this much sooner than
    /// `idle` after its last use. Default `None`: a tenth of `idle`. At most half
    /// of `idle`.
    pub touch_interval: Option<Duration>,
    /// Whether the cookie outlives the browser. Default no.
    pub persistent: bool,
    /// Whether every response that used the session sends the cookie anew.
    /// Default no: a persistent cookie lives as long as the session can. With
    /// it, a slow response may hand out the old id again after a change of id.
    pub rolling: bool,
    /// The largest record in bytes. Default 1 MiB and 64 KiB, so that a value of
    /// 1 MiB fits with room for its key, the record's head and other values; at
    /// most 4 MiB, and what the engine takes.
    pub max_bytes: usize,
    /// The greatest number of keys in a session. Default 4,096; at most 65,536.
    pub max_keys: usize,
    /// What happens when two requests change one session. Default
    /// [`Conflict::Merge`]. A request may choose for itself, with
    /// [`Session::set_conflict`](crate::Session::set_conflict).
    pub conflict: Conflict,
    /// How long after a change of id the old id still reads, so that requests
    /// on their way do not fail. Default 0, at most 60 s. There is none where a
    /// new id goes with a change of privilege: with
    /// [`mark_authenticated`](crate::Session::mark_authenticated),
    /// [`bind`](crate::Session::bind) or [`unbind`](crate::Session::unbind) in the same save.
    pub grace: Duration,
    /// Whether one request at a time may use a session. Default no.
    pub exclusive: Option<Exclusive>,
    /// What happens when the store cannot be read. Default [`Outage::Fail`]. A
    /// single load may choose, with
    /// [`load_any_or`](crate::SessionManager::load_any_or).
    pub outage: Outage,
    /// What happens to a record that does not verify. Default [`Damage::Absent`].
    pub damage: Damage,
    /// How long one call to the store may take. Default 2 s. A step of a
    /// collection may take the time of its [`GcRequest`](crate::GcRequest), 1 s, on
    /// top. Needs a [`Runtime`](crate::Runtime).
    pub deadline: Duration,
    /// How long a save may wait for other saves of the same session in this
    /// process, after its first conflict. Default 10 s.
    pub contention_wait: Duration,
    /// How many sessions one owner may have. Default no limit.
    pub per_owner: Option<OwnerLimit>,
    /// How often the use of a session is followed by a collection of expired
    /// ones. Default never: run a [`Gc`](crate::Gc) in the background instead.
    pub lottery: Option<Lottery>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(1440),
            absolute: Some(Duration::from_secs(12 * 3600)),
            touch_interval: None,
            persistent: false,
            rolling: false,
            max_bytes: (1 << 20) + (64 << 10),
            max_keys: 4096,
            conflict: Conflict::Merge,
            grace: Duration::ZERO,
            exclusive: None,
            outage: Outage::Fail,
            damage: Damage::Absent,
            deadline: Duration::from_secs(2),
            contention_wait: Duration::from_secs(10),
            per_owner: None,
            lottery: None,
        }
    }
}

impl Policy {
    /// Checks that the settings agree with each other.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfig`], naming the setting and its limits.
    pub fn check(&self) -> Result<()> {
        let invalid =
            |message| Err(Error::new(ErrorKind::InvalidConfig, Operation::Configure, message));
        if self.idle.is_zero() {
            return invalid("`idle` must be longer than nothing");
        }
        if self.absolute.is_some_and(|absolute| absolute.is_zero()) {
            return invalid("`absolute` must be longer than nothing; `None` is no limit");
        }
        if self.touch_interval.is_some_and(|interval| interval > self.idle / 2) {
            return invalid(
                "`touch_interval` is at most half of `idle`, or sessions in use would end",
            );
        }
        if self.grace > POINTER_LIFE {
            return invalid("`grace` is at most 60 s");
        }
        if self.max_bytes > MAX_BYTES {
            return invalid("`max_bytes` is at most 4 MiB");
        }
        if self.max_keys > MAX_ENTRIES {
            return invalid("`max_keys` is at most 65,536");
        }
        if self.deadline.is_zero() {
            return invalid("`deadline` must be longer than nothing");
        }
        if self.exclusive.as_ref().is_some_and(|exclusive| exclusive.lease.is_zero()) {
            return invalid("the lease of an exclusive session must be longer than nothing");
        }
        if self.per_owner.as_ref().is_some_and(|limit| limit.sessions == 0) {
            return invalid("an owner needs at least one session");
        }
        if self.lottery.as_ref().is_some_and(|lottery| lottery.divisor == 0) {
            return invalid("`gc_divisor` must be at least 1; set `gc_probability` to 0 instead");
        }
        Ok(())
    }

    /// Returns the defaults with the lifetimes of an assurance level.
    ///
    /// ```
    /// use session_core::{Policy, Profile};
    ///
    /// let policy = Policy::of(Profile::Aal3);
    /// assert_eq!(policy.idle.as_secs(), 15 * 60);
    /// assert_eq!(policy.absolute.map(|absolute| absolute.as_secs()), Some(12 * 3600));
    /// ```
    #[must_use]
    pub fn of(profile: Profile) -> Self {
        let (idle, absolute) = profile.lifetimes();
        Self { idle, absolute: Some(absolute), ..Self::default() }
    }

    /// Returns the interval between touches for a session with this idle lifetime.
    pub(crate) fn touch_every(&self, idle: Duration) -> Duration {
        self.touch_interval.unwrap_or(idle / 10).min(idle / 2)
    }
}

/// What happens when two requests change one session at the same time.
///
/// In every case a session that was destroyed meanwhile stays destroyed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Conflict {
    /// Both succeed: changes to different keys are all kept, increments and
    /// pushes add up, and of two values for one key the later stays.
    #[default]
    Merge,
    /// The later one gets [`ErrorKind::Conflict`], and nothing of it is kept.
    Strict,
    /// The later one replaces the whole record: changes of the earlier are lost.
    LastWriteWins,
}

/// One request at a time: the session is locked from its load to its save.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Exclusive {
    /// How long a request waits for the lock. Default 5 s.
    #[serde(with = "crate::seconds")]
    pub wait: Duration,
    /// How long a lock is held at most if its holder does not free it. Default
    /// 30 s. A holder that comes back later is refused.
    #[serde(with = "crate::seconds")]
    pub lease: Duration,
}

impl Exclusive {
    /// Waits `wait` for the lock and holds it for `lease` at the most.
    #[must_use]
    pub const fn new(wait: Duration, lease: Duration) -> Self {
        Self { wait, lease }
    }
}

impl Default for Exclusive {
    fn default() -> Self {
        Self::new(Duration::from_secs(5), Duration::from_secs(30))
    }
}

/// What happens when the store cannot be read.
///
/// The client's cookie is left alone in every case, so that the session is
/// there again when the store is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outage {
    /// Loading is an error, which becomes a 503 response.
    #[default]
    Fail,
    /// The visitor is treated as unknown. Changes are refused.
    Anonymous,
    /// Data that this process saw at most so long ago is shown. Changes are
    /// refused. Without such data, loading is an error.
    ///
    /// A session that was destroyed by another process may be shown that long.
    Stale(Duration),
}

/// Reads `fail`, `anonymous`, or `stale:` and a number of seconds.
impl FromStr for Outage {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let stale = |text: &str| Duration::try_from_secs_f64(text.parse().ok()?).ok();
        match text.split_once(':') {
            None if text == "fail" => Some(Self::Fail),
            None if text == "anonymous" => Some(Self::Anonymous),
            Some(("stale", seconds)) => stale(seconds).map(Self::Stale),
            _ => None,
        }
        .ok_or_else(|| {
            let message = "`outage` is `fail`, `anonymous`, or `stale:` and seconds";
            Error::new(ErrorKind::InvalidConfig, Operation::Configure, message)
        })
    }
}

impl<'de> Deserialize<'de> for Outage {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

/// What happens to a record that does not verify.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Damage {
    /// It is reported to the observer and treated as absent; it stays in the store,
    /// unless a logout comes by its id.
    #[default]
    Absent,
    /// Loading is an error.
    Fail,
}

/// How many sessions one owner may have.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct OwnerLimit {
    /// Sessions at the most.
    pub sessions: usize,
    /// What happens to one more.
    pub excess: Excess,
}

impl OwnerLimit {
    /// Allows so many sessions.
    #[must_use]
    pub const fn new(sessions: usize, excess: Excess) -> Self {
        Self { sessions, excess }
    }
}

/// What happens when an owner has as many sessions as are allowed, and one more comes.
///
/// While a session changes its id, for the time between two writes, the store
/// holds it under both ids and counts both. A login at that very moment may
/// therefore evict one session too many, even the one that changes its id, or be
/// refused though there is room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Excess {
    /// The owner's oldest session ends.
    Evict,
    /// The new one is refused with [`ErrorKind::TooMany`]. Logins at the very
    /// same moment may each be let in.
    Refuse,
}

/// A chance of `probability` in `divisor` that the use of a session is followed
/// by a collection of expired ones, as PHP has it. It runs in the background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lottery {
    /// PHP's `session.gc_probability`. Zero for never.
    pub probability: u32,
    /// PHP's `session.gc_divisor`.
    pub divisor: u32,
}

impl Lottery {
    /// Sets the chance.
    #[must_use]
    pub const fn new(probability: u32, divisor: u32) -> Self {
        Self { probability, divisor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_settings_are_refused_by_name() {
        let secs = Duration::from_secs;
        type Break = fn(&mut Policy);
        let breaks: [(&str, Break); 9] = [
            ("idle", |p| p.idle = Duration::ZERO),
            ("absolute", |p| p.absolute = Some(Duration::ZERO)),
            ("touch_interval", |p| p.touch_interval = Some(p.idle)),
            ("grace", |p| p.grace = Duration::from_secs(61)),
            ("max_bytes", |p| p.max_bytes = 5 << 20),
            ("max_keys", |p| p.max_keys = (1 << 16) + 1),
            ("deadline", |p| p.deadline = Duration::ZERO),
            ("owner", |p| p.per_owner = Some(OwnerLimit::new(0, Excess::Evict))),
            ("gc_divisor", |p| p.lottery = Some(Lottery::new(1, 0))),
        ];
        for (name, change) in breaks {
            let mut policy = Policy::default();
            change(&mut policy);
            let err = policy.check().unwrap_err();
            assert_eq!(err.kind(), ErrorKind::InvalidConfig);
            assert!(err.to_string().contains(name), "{err}");
        }
        assert_eq!(Policy::default().touch_every(secs(1000)), secs(100));
    }

    #[test]
    fn a_session_of_short_life_is_touched_before_it_ends() {
        let policy = Policy { touch_interval: Some(Duration::from_secs(300)), ..Policy::default() };
        assert_eq!(policy.touch_every(Duration::from_secs(10)), Duration::from_secs(5));
    }
}
