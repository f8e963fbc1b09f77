//! Listing all sessions, in the order of their keys.

use async_trait::async_trait;
use bytes::Bytes;

use super::{MemoryHandler, NAME};
use crate::{
    Cursor, Error, ErrorKind, Operation, Page, PageRequest, Result, SessionKey, SessionLister,
};

#[async_trait]
impl SessionLister for MemoryHandler {
    async fn list(&self, request: &PageRequest) -> Result<Page> {
        let now = self.now();
        let (after, limit) = place(request, Operation::List)?;
        let mut items = Vec::new();
        let last = self.store.walk(after, limit, |shard, keys| {
            let records = keys.iter().filter_map(|key| Some((key, shard.records.get(key)?)));
            let listed = records.filter(|(_, record)| record.is_listed(now));
            items.extend(listed.map(|(key, record)| record.meta(*key, now)));
            true
        });
        Ok(Page::new(items, last.map(cursor)))
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

/// Returns after which key a page begins, and the most records to look at: at
/// least one, so that every page leads on to the next.
pub(super) fn place(
    request: &PageRequest,
    operation: Operation,
) -> Result<(Option<SessionKey>, usize)> {
    let after = match &request.cursor {
        None => None,
        Some(cursor) => {
            let bytes = cursor.as_bytes().as_ref().try_into().map_err(|_| {
                let message = "the cursor is not from this listing; start again without one";
                Error::new(ErrorKind::InvalidConfig, operation, message).with_backend(NAME)
            })?;
            Some(SessionKey::from_bytes(bytes))
        }
    };
    Ok((after, request.limit.max(1)))
}

/// Makes the cursor of the page after `last`.
pub(super) fn cursor(last: SessionKey) -> Cursor {
    Cursor::new(Bytes::copy_from_slice(last.as_bytes()))
}
