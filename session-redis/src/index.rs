//! The index of owners: for each a sorted set of sessions, by the moment when
//! an entry may go.
//!
//! An entry says that a session may be the owner's; the session's record says
//! whether it is. Entries are never taken for granted and never removed on
//! suspicion: the record may be on its way.

use std::collections::HashSet;

use async_trait::async_trait;
use redis::{Cmd, Value};
use session_core::{
    Cursor, Operation, Owner, Page, PageRequest, Result, SessionIndex, SessionKey, SessionMeta,
};

use crate::call::{Call, Repeat};
use crate::client::Place;
use crate::error::{self, Failure, NAME};
use crate::handler::RedisHandler;
use crate::store::{Store, failed};

/// How much longer than promised an entry stays, in milliseconds: more than
/// clocks may differ, and more than a command may be on its way.
const SLACK: u64 = 3_600_000;

/// Records that are looked at together.
const TOGETHER: usize = 64;

/// Rounds without any change after which a revocation is complete.
///
/// A session that changes its id has an entry under the new one before it ends
/// under the old. After a list, a look at all that it names, another look, and
/// a list that names nothing new, nothing can have slipped through.
const QUIET_ROUNDS: u32 = 3;

/// An entry, as the record of its session knows it.
pub(crate) struct Entry {
    pub(crate) owner: Vec<u8>,
    pub(crate) score: u64,
}

impl Entry {
    /// Takes an owner's name and eight bytes of score.
    pub(crate) fn from_reply(reply: Vec<Value>) -> Result<Self, Failure> {
        match <[Value; 2]>::try_from(reply) {
            Ok([Value::BulkString(owner), Value::BulkString(score)]) => {
                let score = <[u8; 8]>::try_from(score).map_err(|_| error::unexpected())?;
                Ok(Self { owner, score: u64::from_le_bytes(score) })
            }
            _ => Err(error::unexpected()),
        }
    }
}

impl Store {
    /// Puts a session into an owner's index for so many milliseconds. Returns
    /// the score of the entry.
    pub(crate) async fn enter_index(
        &self,
        call: Call<'_>,
        owner: &[u8],
        key: &SessionKey,
        cover: u64,
    ) -> Result<u64> {
        let name = self.keys.owner(owner);
        let enter = &self.scripts.enter;
        let answer = call.run(Place::Key(&name), enter, Repeat::Harmless, |cmd| {
            cmd.arg(1).arg(&name).arg(&key.as_bytes()[..]).arg(cover).arg(SLACK);
        });
        let answer = answer.await.map_err(failed(call))?;
        match (answer.value, answer.unconfirmed) {
            (Value::Int(score), None) if score > 0 => Ok(score.unsigned_abs()),
            // Nothing has happened to the session yet.
            (_, Some(failure)) => Err(failure.into_error(call.op).with_indeterminate(false)),
            _ => Err(error::unexpected().into_error(call.op)),
        }
    }

    /// Takes a session out of an owner's index, if the entry is still the one
    /// that is meant. If that fails, the entry goes when its time comes.
    pub(crate) async fn leave(&self, call: Call<'_>, key: &SessionKey, entry: &Entry) {
        let name = self.keys.owner(&entry.owner);
        let leave = &self.scripts.leave;
        let left = call.run(Place::Key(&name), leave, Repeat::Harmless, |cmd| {
            cmd.arg(1).arg(&name).arg(&key.as_bytes()[..]).arg(entry.score);
        });
        drop(left.await);
    }

    /// Returns the sessions that have an entry, in the order of their keys.
    async fn entries(&self, call: Call<'_>, owner: &[u8]) -> Result<Vec<SessionKey>> {
        let name = self.keys.owner(owner);
        let mut cmd = Cmd::with_capacity(4, name.len());
        cmd.arg("ZRANGE").arg(&name).arg(0).arg(-1);
        let reply = call.ask(Place::Key(&name), &cmd, Repeat::Harmless).await;
        let Value::Array(members) = reply.map_err(failed(call))? else {
            return Err(error::unexpected().into_error(call.op));
        };
        let key = |member: Value| match member {
            Value::BulkString(bytes) => bytes.try_into().ok().map(SessionKey::from_bytes),
            _ => None,
        };
        let mut keys: Vec<_> = members.into_iter().filter_map(key).collect();
        keys.sort_unstable();
        Ok(keys)
    }

    /// Returns those of some sessions that live and belong to the owner.
    async fn owned(
        &self,
        op: Operation,
        owner: &[u8],
        keys: &[SessionKey],
    ) -> Result<Vec<SessionMeta>> {
        let now = self.clock.now();
        let mut metas = Vec::with_capacity(keys.len());
        for (key, record) in keys.iter().zip(self.heads(op, keys).await?) {
            if let Some(record) = record
                && record.header.entry != 0
                && record.owner() == owner
            {
                metas.push(record.meta(*key, now));
            }
        }
        Ok(metas)
    }

    async fn revoke(&self, owner: &[u8], except: Option<&SessionKey>) -> Result<u64> {
        let op = Operation::Index;
        let (mut count, mut quiet) = (0, 0);
        let mut seen = HashSet::new();
        while quiet < QUIET_ROUNDS {
            let mut keys = self.entries(self.client.begin(op), owner).await?;
            keys.retain(|key| Some(key) != except);
            let mut changed = false;
            for key in &keys {
                changed |= seen.insert(*key);
            }
            for some in keys.chunks(TOGETHER) {
                let call = self.client.begin(op);
                let removals = some.iter().map(|key| self.remove(call, key, b"", owner));
                for removed in futures_util::future::join_all(removals).await {
                    if removed? {
                        count += 1;
                        changed = true;
                    }
                }
            }
            quiet = if changed { 0 } else { quiet + 1 };
        }
        Ok(count)
    }
}

#[async_trait]
impl SessionIndex for RedisHandler {
    async fn sessions(&self, owner: &Owner, request: &PageRequest) -> Result<Page> {
        let op = Operation::Index;
        let (store, owner) = (&*self.store, owner.as_str().as_bytes());
        let after = request.after(op).map_err(|err| err.with_backend(NAME))?;
        let limit = request.limit.max(1);
        let mut keys = store.entries(store.client.begin(op), owner).await?;
        if let Some(after) = after {
            keys.drain(..keys.partition_point(|key| *key <= after));
        }
        let mut items = Vec::new();
        let mut looked_at = 0;
        for some in keys.chunks(limit.min(TOGETHER)) {
            let mut found = store.owned(op, owner, some).await?;
            looked_at += some.len();
            if items.len() + found.len() > limit {
                found.truncate(limit - items.len());
                let last = found.last().map(|meta| meta.key);
                items.append(&mut found);
                return Ok(Page::new(items, last.as_ref().map(Cursor::after)));
            }
            items.append(&mut found);
            if items.len() == limit {
                break;
            }
        }
        let next = keys.get(looked_at.wrapping_sub(1)).filter(|_| looked_at < keys.len());
        Ok(Page::new(items, next.map(Cursor::after)))
    }

    async fn revoke(&self, owner: &Owner, except: Option<&SessionKey>) -> Result<u64> {
        self.store.revoke(owner.as_str().as_bytes(), except).await
    }

    async fn cap(&self, owner: &Owner, max: usize, keep: &SessionKey) -> Result<u64> {
        let op = Operation::Index;
        let (store, owner) = (&*self.store, owner.as_str().as_bytes());
        let keys = store.entries(store.client.begin(op), owner).await?;
        let mut sessions = Vec::new();
        for some in keys.chunks(TOGETHER) {
            sessions.append(&mut store.owned(op, owner, some).await?);
        }
        let excess = sessions.len().saturating_sub(max);
        sessions.sort_by_key(|meta| (std::cmp::Reverse(meta.age), meta.key));
        let mut count = 0;
        for meta in sessions.iter().filter(|meta| meta.key != *keep).take(excess) {
            let call = store.client.begin(op);
            count += u64::from(store.remove(call, &meta.key, b"", owner).await?);
        }
        Ok(count)
    }
}
