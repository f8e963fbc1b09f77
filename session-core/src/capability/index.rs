//! Which sessions belong to whom.

use std::fmt;

use async_trait::async_trait;

use super::{Page, PageRequest};
use crate::{Owner, Result, SessionKey};

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
