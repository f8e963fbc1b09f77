//! What the store said lately, for when it is down.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::session::state::Current;
use crate::sync::{Mutex, MutexGuard};
use crate::{SessionKey, Timestamp};

/// The most memory that is spent on it, about: 64 MiB.
const MAX_BYTES: usize = 64 << 20;
/// About what an entry takes beside its record.
const ENTRY_BYTES: usize = 512;

/// What the store said lately, for when it is down. Bounded: when it is full,
/// what is older than the rest goes.
#[derive(Debug, Default)]
pub(crate) struct StaleCache(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    by_key: HashMap<SessionKey, Entry>,
    bytes: usize,
    era: Era,
}

/// A time in which nothing that has ended was forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Era(u64);

#[derive(Debug)]
struct Entry {
    seen: Timestamp,
    /// `None` for a session that has ended. It keeps a request that read the
    /// session before its end from showing it afterwards.
    current: Option<Arc<Current>>,
}

impl Entry {
    fn bytes(&self) -> usize {
        ENTRY_BYTES + self.current.as_ref().map_or(0, |current| current.record.bytes())
    }
}

impl StaleCache {
    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the present era, to be asked for before the store is.
    pub(crate) fn era(&self) -> Era {
        self.lock().era
    }

    /// Remembers what the store has, unless the session has ended since the store
    /// was asked, or may have.
    pub(crate) fn remember(&self, current: &Arc<Current>, asked: Era, now: Timestamp) {
        let mut entries = self.lock();
        let buried = |entry: &Entry| entry.current.is_none();
        if asked == entries.era && !entries.by_key.get(&current.key).is_some_and(buried) {
            entries.put(current.key, Entry { seen: now, current: Some(Arc::clone(current)) });
        }
    }

    pub(crate) fn forget(&self, key: &SessionKey) {
        let mut entries = self.lock();
        if entries.by_key.get(key).is_some_and(|entry| entry.current.is_some()) {
            entries.remove(key);
        }
    }

    /// Forgets a session that has ended, for good: its key never comes back.
    pub(crate) fn bury(&self, key: &SessionKey, now: Timestamp) {
        self.lock().put(*key, Entry { seen: now, current: None });
    }

    /// Forgets everything: sessions have ended, and nobody knows which.
    pub(crate) fn clear(&self) {
        let mut entries = self.lock();
        *entries = Entries { era: entries.era.next(), ..Entries::default() };
    }

    /// Returns what was seen at most `max_age` ago and has not expired since.
    pub(crate) fn recall(
        &self,
        key: &SessionKey,
        max_age: Duration,
        now: Timestamp,
    ) -> Option<Arc<Current>> {
        let entries = self.lock();
        let Entry { seen, current: Some(current) } = entries.by_key.get(key)? else { return None };
        let fresh = now.since(*seen) <= max_age;
        let ends = [current.expires, current.record.meta().absolute];
        let lives = ends.into_iter().flatten().all(|end| now < end);
        (fresh && lives).then(|| Arc::clone(current))
    }
}

impl Era {
    const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

impl Entries {
    fn put(&mut self, key: SessionKey, entry: Entry) {
        self.remove(&key);
        self.bytes += entry.bytes();
        self.by_key.insert(key, entry);
        if self.bytes > MAX_BYTES {
            self.drop_older_half();
        }
    }

    fn remove(&mut self, key: &SessionKey) {
        if let Some(entry) = self.by_key.remove(key) {
            self.bytes -= entry.bytes();
        }
    }

    fn drop_older_half(&mut self) {
        let mut by_age: Vec<_> =
            self.by_key.iter().map(|(key, entry)| (entry.seen, *key)).collect();
        by_age.sort_unstable();
        // Among them are sessions that have ended.
        self.era = self.era.next();
        for (_, key) in &by_age[..by_age.len().div_ceil(2)] {
            self.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    #[test]
    fn what_has_ended_is_bounded_too() {
        let cache = StaleCache::default();
        for n in 0..300_000_u32 {
            let mut key = [0; 32];
            key[..4].copy_from_slice(&n.to_le_bytes());
            cache.bury(&SessionKey::from_bytes(key), NOW);
        }
        let entries = cache.lock();
        assert!(entries.bytes <= MAX_BYTES);
        assert_eq!(entries.bytes, entries.by_key.len() * ENTRY_BYTES);
    }
}
