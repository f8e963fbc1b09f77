//! Locks: one grant per key, numbered, with a lease, in a collection of their own.
//!
//! A grant marks the session's document with its number, if there is one, before
//! the lock is given out. From then on no write under an earlier lock passes.

use std::time::Duration;

use async_trait::async_trait;
use mongodb::bson::{Document, doc};
use mongodb::options::ReturnDocument;
use session_core::{
    Error, FencingToken, Operation, OsRandom, Random, Result, SessionKey, SessionLocker,
};

use crate::client::Collections;
use crate::error::{self, NAME};
use crate::handler::MongoHandler;
use crate::record::{NOW, and, by_key, millis};
use crate::reply::{Fields, first, only_batch};
use crate::store::Store;

const OP: Operation = Operation::Lock;

impl Store {
    /// Refuses a write under a lock that is not held any more.
    pub(crate) async fn check_fence(
        &self,
        op: Operation,
        to: &Collections,
        key: &SessionKey,
        fence: FencingToken,
    ) -> Result<()> {
        let find = to.locks.find(held(key, fence)).projection(doc! { "_id": 1 });
        match only_batch(op, find.limit(-1).batch().await).await? {
            Some(batch) if first(op, &batch)?.is_some() => Ok(()),
            _ => Err(Error::lock_lost(op).with_backend(NAME)),
        }
    }

    async fn try_lock(&self, key: &SessionKey, lease: Duration) -> Result<Option<FencingToken>> {
        let (by, lease) = (draw_owner()?, millis(lease));
        self.call(OP, |to| async move {
            let grant = to
                .locks
                .find_one_and_update(by_key(key), grant(by, lease))
                .upsert(true)
                .return_document(ReturnDocument::After)
                .projection(doc! { "_id": 0, "token": 1, "by": 1 });
            let lock = match grant.await {
                Ok(lock) => lock.ok_or_else(|| error::bad(OP))?,
                // Somebody else was first with the first lock of this key.
                Err(err) if error::is_duplicate(&err) => return Ok(None),
                Err(err) => return Err(to.failed(OP, &err).await),
            };
            let fields = Fields::new(OP, &lock);
            if fields.number("by")? != Some(by) {
                return Ok(None);
            }
            let token = fields.number("token")?.ok_or_else(|| error::bad(OP))?;
            let mark = doc! { "$max": { "fence": token } };
            let marked = to.sessions.update_one(by_key(key), mark).await;
            // The grant stands: what fails now ends with the lease.
            marked.map_err(|err| error::driver(OP, &err).with_indeterminate(true))?;
            Ok(Some(FencingToken(token.cast_unsigned())))
        })
        .await
    }

    /// Changes the grant with this token. `false` if there is none.
    async fn if_held(
        &self,
        key: &SessionKey,
        token: FencingToken,
        change: Document,
    ) -> Result<bool> {
        let change = &change;
        self.call(OP, |to| async move {
            match to.locks.update_one(held(key, token), vec![change.clone()]).await {
                Ok(result) => Ok(result.matched_count == 1),
                Err(err) => Err(to.failed(OP, &err).await),
            }
        })
        .await
    }
}

/// Draws the name under which a call takes a lock, so that it knows its own grant.
fn draw_owner() -> Result<i64> {
    OsRandom.number().map(u64::cast_signed).map_err(|err| err.with_backend(NAME))
}

/// Returns the filter for the lock of a key under one token.
fn held(key: &SessionKey, FencingToken(token): FencingToken) -> Document {
    and(by_key(key), doc! { "token": token.cast_signed() })
}

/// Returns an update that takes a lock that is free or whose lease is over.
///
/// Tokens follow the server's clock, so that the one after a lock that was
/// cleared away is greater too.
fn grant(by: i64, lease: i64) -> Vec<Document> {
    let next = doc! { "$max": [{ "$add": ["$token", 1_i64] }, { "$toLong": NOW }] };
    let granted = doc! {
        "_id": "$_id",
        "token": next,
        "by": by,
        "until": { "$add": [NOW, lease] },
    };
    let taken = doc! { "$gt": ["$until", NOW] };
    vec![doc! { "$replaceWith": { "$cond": [taken, "$$ROOT", granted] } }]
}

#[async_trait]
impl SessionLocker for MongoHandler {
    async fn try_lock(&self, key: &SessionKey, lease: Duration) -> Result<Option<FencingToken>> {
        self.store.try_lock(key, lease).await
    }

    async fn renew(&self, key: &SessionKey, token: FencingToken, lease: Duration) -> Result<bool> {
        let until = doc! { "$set": { "until": { "$add": [NOW, millis(lease)] } } };
        self.store.if_held(key, token, until).await
    }

    async fn unlock(&self, key: &SessionKey, token: FencingToken) -> Result<bool> {
        // The number is used up, so that the freed lock is nobody's.
        let freed = doc! { "$set": { "until": NOW, "token": { "$add": ["$token", 1_i64] } } };
        self.store.if_held(key, token, freed).await
    }
}
