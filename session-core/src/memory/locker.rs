//! Locks: one grant per key, numbered, with a lease.

use std::time::Duration;

use async_trait::async_trait;

use super::MemoryHandler;
use super::store::Shard;
use crate::{FencingToken, Result, SessionKey, SessionLocker, Timestamp};

/// The latest grant of a key's lock.
///
/// It stays when the lease is over, so that a slow holder goes on as long as
/// nobody else wants the lock. Garbage collection takes it away.
#[derive(Debug)]
pub(super) struct Lock {
    token: FencingToken,
    until: Timestamp,
}

impl Lock {
    pub(super) fn is_held(&self, now: Timestamp) -> bool {
        self.until > now
    }
}

impl Shard {
    /// Returns whether a key's lock is still that of this grant.
    pub(super) fn is_fence(&self, key: &SessionKey, token: FencingToken) -> bool {
        self.locks.get(key).is_some_and(|lock| lock.token == token)
    }
}

#[async_trait]
impl SessionLocker for MemoryHandler {
    async fn try_lock(&self, key: &SessionKey, lease: Duration) -> Result<Option<FencingToken>> {
        let mut shard = self.store.shard(key);
        let now = self.now();
        if shard.locks.get(key).is_some_and(|lock| lock.is_held(now)) {
            return Ok(None);
        }
        let token = FencingToken(shard.next());
        shard.locks.insert(*key, Lock { token, until: now.after(lease) });
        Ok(Some(token))
    }

    async fn renew(&self, key: &SessionKey, token: FencingToken, lease: Duration) -> Result<bool> {
        let mut shard = self.store.shard(key);
        let until = self.now().after(lease);
        let lock = shard.locks.get_mut(key).filter(|lock| lock.token == token);
        Ok(lock.map(|lock| lock.until = until).is_some())
    }

    async fn unlock(&self, key: &SessionKey, token: FencingToken) -> Result<bool> {
        let mut shard = self.store.shard(key);
        let held = shard.is_fence(key, token);
        if held {
            shard.locks.remove(key);
        }
        Ok(held)
    }
}
