//! Randomness that a test has written down.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::{Error, ErrorKind, Operation, Random, Result};

/// A [`Random`] whose draws a test has written down.
///
/// Each draw takes the next byte of the script and fills the buffer with it, so
/// equal bytes make equal ids. After the script, every draw fails.
///
/// ```
/// use session_core::SessionId;
/// use session_core::testkit::ScriptedRandom;
///
/// let random = ScriptedRandom::new([7, 7, 8]);
/// let first = SessionId::generate(&random)?;
/// assert!(SessionId::generate(&random)? == first);
/// assert!(SessionId::generate(&random)? != first);
/// assert!(SessionId::generate(&random).is_err());
/// # Ok::<(), session_core::Error>(())
/// ```
#[derive(Debug)]
pub struct ScriptedRandom {
    script: Mutex<VecDeque<u8>>,
    repeats: bool,
}

impl ScriptedRandom {
    /// Makes draws from a script.
    #[must_use]
    pub fn new(script: impl IntoIterator<Item = u8>) -> Self {
        Self { script: Mutex::new(script.into_iter().collect()), repeats: false }
    }

    /// Goes on with the last byte of the script for ever, instead of failing.
    #[must_use]
    pub const fn repeating(mut self) -> Self {
        self.repeats = true;
        self
    }
}

impl Random for ScriptedRandom {
    fn fill(&self, buffer: &mut [u8]) -> Result<()> {
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        let byte = match script.front() {
            Some(&last) if self.repeats && script.len() == 1 => Some(last),
            _ => script.pop_front(),
        };
        let Some(byte) = byte else {
            let message = "the script of random bytes is at its end";
            return Err(Error::new(ErrorKind::Internal, Operation::Id, message));
        };
        buffer.fill(byte);
        Ok(())
    }
}
