//! Locks with a lease and a fencing token.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::{Result, SessionKey};

/// The number of a lock grant. For one key, a later grant has a greater number.
///
/// A write that carries it is refused once the lock has passed on, so a holder
/// that stalled past its lease cannot overwrite its successor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FencingToken(pub u64);

/// The ability to give one holder at a time the right to write a session.
///
/// A lock does not need the session to exist, and a lock never keeps anyone
/// from reading, touching or destroying it. Waiting is not the store's work:
/// session-core asks again.
#[async_trait]
pub trait SessionLocker: fmt::Debug + Send + Sync {
    /// Takes the lock if it is free or its lease is over. `None` if somebody holds it.
    async fn try_lock(&self, key: &SessionKey, lease: Duration) -> Result<Option<FencingToken>>;

    /// Restarts the lease. `false` if the lock is no longer held under this token.
    async fn renew(&self, key: &SessionKey, token: FencingToken, lease: Duration) -> Result<bool>;

    /// Frees the lock. `false`, and no effect, if it is no longer held under this token.
    async fn unlock(&self, key: &SessionKey, token: FencingToken) -> Result<bool>;
}
