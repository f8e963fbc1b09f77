//! Which sessions belong to whom: a field of the document, and an index on it.

use async_trait::async_trait;
use mongodb::bson::{Bson, Document, doc};
use session_core::{Operation, Owner, Page, PageRequest, Result, SessionIndex, SessionKey};

use crate::error;
use crate::handler::MongoHandler;
use crate::record::{self, and, live};
use crate::reply::all;
use crate::store::Store;

const OP: Operation = Operation::Index;

/// Passes in a row that find nothing, after which a revocation is complete.
///
/// A pass meets an owner's sessions in the order of their keys. One that changes
/// its id is there under the new key before it goes under the old, and may in the
/// middle of a pass turn up behind it and vanish before it. It is missed in all
/// passes only if it does so again in each of them.
const QUIET_PASSES: u32 = 3;

impl Store {
    /// Destroys those of an owner's live sessions that a filter names. Returns how many
    /// there were.
    async fn destroy_owned(&self, filter: Document) -> Result<u64> {
        let filter = &and(filter, doc! { "$expr": live() });
        self.call(OP, |to| async move {
            let removed = to.sessions.delete_many(filter.clone()).await;
            Ok(removed.map_err(|err| error::driver(OP, &err))?.deleted_count)
        })
        .await
    }

    /// Returns the owner's live sessions, the oldest first.
    async fn by_age(&self, owner: &Owner) -> Result<Vec<SessionKey>> {
        let mut sessions = self
            .call(OP, |to| async move {
                let filter = and(of(owner), doc! { "$expr": live() });
                let fields = doc! { "created": 1, "now": record::NOW };
                let found = to.primary.find(filter).projection(fields).batch().await;
                all(OP, found, |fields| Ok(Some((fields.age()?, fields.key()?)))).await
            })
            .await?;
        sessions.sort_unstable_by(|a, b| b.cmp(a));
        Ok(sessions.into_iter().map(|(_, key)| key).collect())
    }
}

/// Returns the filter for an owner's sessions.
fn of(owner: &Owner) -> Document {
    doc! { "owner": record::owner(owner) }
}

#[async_trait]
impl SessionIndex for MongoHandler {
    async fn sessions(&self, owner: &Owner, request: &PageRequest) -> Result<Page> {
        self.store.page(OP, of(owner), request).await
    }

    async fn revoke(&self, owner: &Owner, except: Option<&SessionKey>) -> Result<u64> {
        let mut filter = of(owner);
        if let Some(except) = except {
            filter.insert("_id", doc! { "$ne": record::key(except) });
        }
        let (mut revoked, mut quiet) = (0, 0);
        while quiet < QUIET_PASSES {
            let removed = self.store.destroy_owned(filter.clone()).await?;
            revoked += removed;
            quiet = if removed == 0 { quiet + 1 } else { 0 };
        }
        Ok(revoked)
    }

    async fn cap(&self, owner: &Owner, max: usize, keep: &SessionKey) -> Result<u64> {
        let sessions = self.store.by_age(owner).await?;
        let surplus = sessions.len().saturating_sub(max);
        let oldest = sessions.iter().filter(|key| *key != keep).take(surplus);
        let oldest: Vec<Bson> = oldest.map(record::key).collect();
        if oldest.is_empty() {
            return Ok(0);
        }
        self.store.destroy_owned(and(of(owner), doc! { "_id": { "$in": oldest } })).await
    }
}
