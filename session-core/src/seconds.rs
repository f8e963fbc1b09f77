//! Durations as seconds, for `#[serde(with = "session_core::seconds")]`.
//!
//! Reads whole and fractional numbers, and refuses negative ones.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer, de};

/// Writes a duration as a number of seconds.
///
/// # Errors
///
/// Those of the format.
pub fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(duration.as_secs_f64())
}

/// Reads a number of seconds.
///
/// # Errors
///
/// For a negative number, one that is not finite, and what is not a number.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let seconds = f64::deserialize(from)?;
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| de::Error::custom("a duration is a number of seconds, not negative"))
}

/// The same for durations that may be absent.
pub mod option {
    use super::{Deserialize, Deserializer, Duration, Serializer, de};

    /// Writes a duration as a number of seconds, or nothing.
    ///
    /// # Errors
    ///
    /// Those of the format.
    pub fn serialize<S: Serializer>(duration: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => to.serialize_some(&duration.as_secs_f64()),
            None => to.serialize_none(),
        }
    }

    /// Reads a number of seconds, or nothing.
    ///
    /// # Errors
    ///
    /// As [`super::deserialize`].
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        let seconds: Option<f64> = Option::deserialize(from)?;
        seconds
            .map(Duration::try_from_secs_f64)
            .transpose()
            .map_err(|_| de::Error::custom("a duration is a number of seconds, not negative"))
    }
}
