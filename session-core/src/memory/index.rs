//! Finding and ending the sessions of an owner.

use async_trait::async_trait;

use super::error::named;
use super::handler::MemoryHandler;
use crate::{Cursor, Operation, Owner, Page, PageRequest, Result, SessionIndex, SessionKey};

impl MemoryHandler {
    /// Removes a record if it still belongs to `owner`. Returns whether it was live.
    fn destroy_owned(&self, owner: &Owner, key: &SessionKey) -> bool {
        let mut shard = self.store.shard(key);
        let Some(record) = shard.records.get(key) else { return false };
        if record.indexed() != Some(owner) {
            return false;
        }
        let live = record.is_live(self.now());
        self.store.replace(&mut shard, key, None);
        live
    }
}

#[async_trait]
impl SessionIndex for MemoryHandler {
    async fn sessions(&self, owner: &Owner, request: &PageRequest) -> Result<Page> {
        let now = self.now();
        let after = request.after(Operation::Index).map_err(named)?;
        let limit = request.limit.max(1);
        let keys = self.store.owned(owner, after, limit);
        let next = keys.last().filter(|_| keys.len() == limit).map(Cursor::after);
        let live = keys.into_iter().filter_map(|key| {
            let shard = self.store.shard(&key);
            let record = shard.live(&key, now)?;
            (record.indexed() == Some(owner)).then(|| record.meta(key, now))
        });
        Ok(Page::new(live.collect(), next))
    }

    async fn revoke(&self, owner: &Owner, except: Option<&SessionKey>) -> Result<u64> {
        let mut revoked = 0;
        loop {
            // Looks again until none is left: a session that changed its id was
            // indexed under the new one before the old one went.
            let mut keys = self.store.owned(owner, None, usize::MAX);
            keys.retain(|key| Some(key) != except);
            if keys.is_empty() {
                return Ok(revoked);
            }
            revoked += keys.iter().filter(|key| self.destroy_owned(owner, key)).count() as u64;
        }
    }

    async fn cap(&self, owner: &Owner, max: usize, keep: &SessionKey) -> Result<u64> {
        let now = self.now();
        let live = |key| {
            let created = self.store.shard(&key).live(&key, now)?.created();
            Some((created, key))
        };
        let keys = self.store.owned(owner, None, usize::MAX);
        let mut sessions: Vec<_> = keys.into_iter().filter_map(live).collect();
        sessions.sort_unstable();
        let surplus = sessions.len().saturating_sub(max);
        let oldest = sessions.iter().map(|(_, key)| key).filter(|key| *key != keep).take(surplus);
        Ok(oldest.filter(|key| self.destroy_owned(owner, key)).count() as u64)
    }
}
