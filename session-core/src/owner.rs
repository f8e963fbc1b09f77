//! Whom a session belongs to.

use std::fmt;
use std::sync::Arc;

use crate::{Error, ErrorKind, Operation, Result};

/// Whom a session belongs to: a user id, an account number, an e-mail address.
///
/// 1 to 255 bytes, compared byte for byte. `Debug` hides it, because it often
/// is personal data.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner(Arc<str>);

impl Owner {
    /// The longest name in bytes, so that every engine can put it into a key.
    pub const MAX_LEN: usize = 255;

    /// Takes a name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`] over 255 bytes, [`ErrorKind::InvalidInput`] if empty.
    pub fn new(name: impl Into<Arc<str>>) -> Result<Self> {
        let name = name.into();
        if name.is_empty() {
            let message = "an owner needs a name; to take it away, unbind the session";
            return Err(Error::new(ErrorKind::InvalidInput, Operation::Index, message));
        }
        if name.len() > Self::MAX_LEN {
            let message = "an owner's name has at most 255 bytes; use an account number or a hash";
            return Err(Error::new(ErrorKind::TooLarge, Operation::Index, message));
        }
        Ok(Self(name))
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Owner(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_1_to_255_bytes() {
        let kind = |len| Owner::new("x".repeat(len)).map_err(|err| err.kind()).map(drop);
        assert_eq!(kind(0), Err(ErrorKind::InvalidInput));
        assert_eq!(kind(1), Ok(()));
        assert_eq!(kind(255), Ok(()));
        assert_eq!(kind(256), Err(ErrorKind::TooLarge));
    }
}
