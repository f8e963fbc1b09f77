//! The table of records, cut into shards that are locked one at a time.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::ops::Bound;
use std::sync::PoisonError;

use super::grant::Grant;
use super::hash::BuildKeyHasher;
use super::record::Record;
use crate::sync::{Mutex, MutexGuard};
use crate::{Owner, SessionKey, Timestamp};

/// As many as a byte has values: the first byte of a key is its shard, so that
/// walking the shards in turn is walking the keys in order.
const SHARDS: usize = 256;

type KeyMap<T> = HashMap<SessionKey, T, BuildKeyHasher>;

/// All records, locks and owners.
///
/// A shard's mutex makes each operation on a key one step. The mutex of the
/// owners is taken last and only inside of a shard's, or alone.
pub(super) struct Store {
    shards: Box<[Mutex<Shard>]>,
    owners: Mutex<HashMap<Owner, BTreeSet<SessionKey>>>,
    /// The last key that garbage collection looked at.
    pub(super) swept: Mutex<Option<SessionKey>>,
}

/// The records and locks of the keys with one first byte.
#[derive(Debug, Default)]
pub(super) struct Shard {
    pub(super) records: KeyMap<Record>,
    pub(super) grants: KeyMap<Grant>,
    /// Numbers versions and lock grants. It outlives the records, so that a
    /// version is never used twice for one key.
    sequence: u64,
}

impl Shard {
    /// Returns a number that no earlier version or grant has.
    pub(super) const fn next(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    pub(super) fn live(&self, key: &SessionKey, now: Timestamp) -> Option<&Record> {
        self.records.get(key).filter(|record| record.is_live(now))
    }

    pub(super) fn live_mut(&mut self, key: &SessionKey, now: Timestamp) -> Option<&mut Record> {
        self.records.get_mut(key).filter(|record| record.is_live(now))
    }

    /// Returns the first `limit` keys after `after`, in order.
    ///
    /// Looks at the whole shard, which holds one in 256 of all records.
    fn keys_after(&self, after: Option<SessionKey>, limit: usize) -> Vec<SessionKey> {
        let mut keys: Vec<_> = self
            .records
            .keys()
            .copied()
            .filter(|key| after.is_none_or(|after| *key > after))
            .collect();
        keys.sort_unstable();
        keys.truncate(limit);
        keys
    }
}

impl Store {
    pub(super) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            owners: Mutex::default(),
            swept: Mutex::default(),
        }
    }

    /// Locks the shard of a key.
    pub(super) fn shard(&self, key: &SessionKey) -> MutexGuard<'_, Shard> {
        lock(&self.shards[usize::from(key.as_bytes()[0])])
    }

    /// Locks each shard in turn.
    pub(super) fn shards(&self) -> impl Iterator<Item = MutexGuard<'_, Shard>> {
        self.shards.iter().map(lock)
    }

    /// Walks at most `limit` records in the order of their keys, a shard at a
    /// time, from the one after `after` on. `visit` says whether to go on after
    /// it has seen a record. Returns the last key of a walk that did not get to
    /// the end.
    pub(super) fn walk(
        &self,
        after: Option<SessionKey>,
        limit: usize,
        mut visit: impl FnMut(&mut Shard, &[SessionKey]) -> bool,
    ) -> Option<SessionKey> {
        let first = after.map_or(0, |key| usize::from(key.as_bytes()[0]));
        let mut left = limit;
        let mut last = after;
        for shard in &self.shards[first..] {
            let mut shard = lock(shard);
            let keys = shard.keys_after(last, left);
            left -= keys.len();
            last = keys.last().copied().or(last);
            let go_on = visit(&mut shard, &keys) || keys.is_empty();
            if !go_on || left == 0 {
                return last;
            }
        }
        None
    }

    /// Puts a record under a key, or nothing, and makes the index follow.
    pub(super) fn replace(&self, shard: &mut Shard, key: &SessionKey, new: Option<Record>) {
        let owner = new.as_ref().and_then(Record::indexed).cloned();
        let old = match new {
            Some(record) => shard.records.insert(*key, record),
            None => shard.records.remove(key),
        };
        let old_owner = old.as_ref().and_then(Record::indexed);
        if old_owner == owner.as_ref() {
            return;
        }
        let mut owners = lock(&self.owners);
        if let Some(old_owner) = old_owner
            && let Some(keys) = owners.get_mut(old_owner)
        {
            keys.remove(key);
            if keys.is_empty() {
                owners.remove(old_owner);
            }
        }
        if let Some(owner) = owner {
            owners.entry(owner).or_default().insert(*key);
        }
    }

    /// Returns the first `limit` keys of an owner after `after`, in order.
    pub(super) fn owned(
        &self,
        owner: &Owner,
        after: Option<SessionKey>,
        limit: usize,
    ) -> Vec<SessionKey> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let owners = lock(&self.owners);
        let keys = owners.get(owner).into_iter();
        keys.flat_map(|keys| keys.range((from, Bound::Unbounded))).take(limit).copied().collect()
    }
}

/// Hides everything: records are secret, and there may be millions.
impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

/// Locks in spite of poison: no step leaves a shard half-changed.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
