//! The lifetimes that assurance levels ask for.

use std::time::Duration;

use serde::Deserialize;

use crate::{Error, ErrorKind, Operation, Policy, Result};

const HOUR: Duration = Duration::from_secs(3600);

/// An authentication assurance level of NIST SP 800-63B-4, for the lifetimes
/// that its section 5.2 gives sessions.
///
/// | Level | Unused | At the most | In the text |
/// | --- | --- | --- | --- |
/// | `Aal1` | 30 days | 30 days | at most 30 days (should); unused: optional |
/// | `Aal2` | 1 h | 24 h | at most 24 h (should); unused at most 1 h (should) |
/// | `Aal3` | 15 min | 12 h | at most 12 h (shall); unused at most 15 min (should) |
///
/// The store's clock decides about both, and the manager's about the second one,
/// too. Being used restarts the first one;
/// [`mark_authenticated`](crate::Session::mark_authenticated) restarts both, so call it
/// when a user has signed in again. A level also asks how users sign in, which
/// is the application's matter.
///
/// [`Session::set_idle`](crate::Session::set_idle) and
/// [`set_absolute`](crate::Session::set_absolute) set lifetimes of single
/// sessions, and are not held to a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Profile {
    /// Some assurance: one factor.
    Aal1,
    /// High assurance: two factors.
    Aal2,
    /// Very high assurance: two factors, one of them a key that cannot be copied.
    Aal3,
}

impl Profile {
    /// Returns how long a session lives unused, and at the most.
    #[must_use]
    pub const fn lifetimes(self) -> (Duration, Duration) {
        match self {
            Self::Aal1 => {
                (Duration::from_secs(30 * 24 * 3600), Duration::from_secs(30 * 24 * 3600))
            }
            Self::Aal2 => (HOUR, Duration::from_secs(24 * 3600)),
            Self::Aal3 => (Duration::from_secs(15 * 60), Duration::from_secs(12 * 3600)),
        }
    }

    /// Returns the stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aal1 => "aal1",
            Self::Aal2 => "aal2",
            Self::Aal3 => "aal3",
        }
    }

    /// Checks that a policy lets no session live longer than the level does.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfig`], naming the level and its lifetimes.
    pub fn check(self, policy: &Policy) -> Result<()> {
        let (idle, absolute) = self.lifetimes();
        if policy.idle <= idle && policy.absolute.is_some_and(|set| set <= absolute) {
            return Ok(());
        }
        let (name, idle, absolute) = (self.as_str(), idle.as_secs(), absolute.as_secs());
        let message = format!(
            "the profile {name} allows `idle` of at most {idle} s and `absolute` of at most \
             {absolute} s"
        );
        Err(Error::new(ErrorKind::InvalidConfig, Operation::Configure, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_the_lifetimes_of_their_text_and_each_is_stricter() {
        let minutes = |profile: Profile| {
            let (idle, absolute) = profile.lifetimes();
            (idle.as_secs() / 60, absolute.as_secs() / 60)
        };
        assert_eq!(minutes(Profile::Aal1), (43_200, 43_200));
        assert_eq!(minutes(Profile::Aal2), (60, 1440));
        assert_eq!(minutes(Profile::Aal3), (15, 720));
        for profile in [Profile::Aal1, Profile::Aal2, Profile::Aal3] {
            let policy = Policy::of(profile);
            assert!(policy.check().is_ok() && profile.check(&policy).is_ok());
        }
        assert!(Profile::Aal2.check(&Policy::of(Profile::Aal3)).is_ok());
        assert!(Profile::Aal3.check(&Policy::of(Profile::Aal2)).is_err());
        let endless = Policy { absolute: None, ..Policy::of(Profile::Aal1) };
        assert!(Profile::Aal1.check(&endless).is_err());
    }
}
