//! Which sessions belong to whom.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Page, PageRequest};
use crate::{Error, ErrorKind, Operation, Result, SessionKey};

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
    /// [`ErrorKind::TooLarge`] over 255 bytes, [`ErrorKind::InvalidConfig`] if empty.
    pub fn new(name: impl Into<Arc<str>>) -> Result<Self> {
        let name = name.into();
        if name.is_empty() {
            let message = "an owner needs a name; to take it away, unbind the session";
            return Err(Error::new(ErrorKind::InvalidConfig, Operation::Index, message));
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

/// The ability to find and end the sessions of an owner.
///
/// The index follows writes, destruction and expiry without help: an entry is
/// there as long as the live record names that owner. Pointers are never in it.
#[async_trait]
pub trait SessionIndex: fmt::Debug + Send + Sync {
    /// Returns one page of the owner's live sessions. An unknown owner has none.
    async fn sessions(&self, owner: &Owner, request: &PageRequest) -> Result<Page>;

    /// Destroys the owner's sessions, but for `except`. Returns how many there were.
    ///
    /// Every session that belonged to the owner when the call began is gone when
    /// it returns, even one that changed its id meanwhile.
    async fn revoke(&self, owner: &Owner, except: Option<&SessionKey>) -> Result<u64>;

    /// Destroys the owner's oldest sessions until at most `max` are left, never
    /// `keep`. Returns how many there were.
    async fn cap(&self, owner: &Owner, max: usize, keep: &SessionKey) -> Result<u64>;
}
