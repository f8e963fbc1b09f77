//! Where random bytes come from.

use std::fmt;

use crate::{Error, ErrorKind, Operation, Result};

/// A source of unpredictable bytes, passed as a value so that tests can script it.
pub trait Random: fmt::Debug + Send + Sync + 'static {
    /// Fills the whole buffer.
    ///
    /// # Errors
    ///
    /// When the source cannot fill it. Callers then make no id.
    fn fill(&self, buffer: &mut [u8]) -> Result<()>;

    /// Draws a number, such as the first version of a record.
    ///
    /// # Errors
    ///
    /// As [`fill`](Self::fill).
    fn number(&self) -> Result<u64> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }
}

/// The operating system's generator, `getrandom(2)` on Linux. The default.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsRandom;

impl Random for OsRandom {
    fn fill(&self, buffer: &mut [u8]) -> Result<()> {
        getrandom::fill(buffer).map_err(|err| {
            let message = "the operating system's random generator failed";
            Error::new(ErrorKind::Internal, Operation::Id, message).with_source(err.to_string())
        })
    }
}

/// Draws a number below `bound`, for jitter and lotteries. Not for secrets.
///
/// A bound of zero gives zero.
pub(crate) fn below(random: &dyn Random, bound: u64) -> Result<u64> {
    Ok(random.number()?.checked_rem(bound).unwrap_or(0))
}
