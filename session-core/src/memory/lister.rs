//! Listing all sessions, in the order of their keys.

use async_trait::async_trait;

use super::error::named;
use super::handler::MemoryHandler;
use crate::{Cursor, Operation, Page, PageRequest, Result, SessionLister};

#[async_trait]
impl SessionLister for MemoryHandler {
    async fn list(&self, request: &PageRequest) -> Result<Page> {
        let now = self.now();
        let after = request.after(Operation::List).map_err(named)?;
        let mut items = Vec::new();
        let last = self.store.walk(after, request.limit.max(1), |shard, keys| {
            let records = keys.iter().filter_map(|key| Some((key, shard.records.get(key)?)));
            let listed = records.filter(|(_, record)| record.is_listed(now));
            items.extend(listed.map(|(key, record)| record.meta(*key, now)));
            true
        });
        Ok(Page::new(items, last.as_ref().map(Cursor::after)))
    }

    async fn count(&self) -> Result<u64> {
        let now = self.now();
        let mut count = 0;
        for shard in self.store.shards() {
            count += shard.records.values().filter(|record| record.is_listed(now)).count() as u64;
        }
        Ok(count)
    }
}
