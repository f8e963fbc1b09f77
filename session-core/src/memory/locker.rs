//! Locks: one grant per key, numbered, with a lease.

use std::time::Duration;

use async_trait::async_trait;

use super::grant::Grant;
use super::handler::MemoryHandler;
use super::store::Shard;
use crate::{FencingToken, Result, SessionKey, SessionLocker};

impl Shard {
    /// Returns whether a key's lock is still that of this grant.
    pub(super) fn is_granted(&self, key: &SessionKey, token: FencingToken) -> bool {
        self.grants.get(key).is_some_and(|grant| grant.token == token)
    }
}

#[async_trait]
impl SessionLocker for MemoryHandler {
    async fn try_lock(&self, key: &SessionKey, lease: Duration) -> Result<Option<FencingToken>> {
        let mut shard = self.store.shard(key);
        let now = self.now();
        if shard.grants.get(key).is_some_and(|grant| grant.is_held(now)) {
            return Ok(None);
        }
        let token = FencingToken(shard.next());
        shard.grants.insert(*key, Grant { token, until: now.after(lease) });
        Ok(Some(token))
    }

    async fn renew(&self, key: &SessionKey, token: FencingToken, lease: Duration) -> Result<bool> {
        let mut shard = self.store.shard(key);
        let until = self.now().after(lease);
        let grant = shard.grants.get_mut(key).filter(|grant| grant.token == token);
        Ok(grant.map(|grant| grant.until = until).is_some())
    }

    async fn unlock(&self, key: &SessionKey, token: FencingToken) -> Result<bool> {
        let mut shard = self.store.shard(key);
        let held = shard.is_granted(key, token);
        if held {
            shard.grants.remove(key);
        }
        Ok(held)
    }
}
