//! What the store said lately, for when it is down.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::session::state::Current;
use crate::{SessionKey, Timestamp};

/// The most bytes of payload that are remembered: 64 MiB.
const MAX_BYTES: usize = 64 << 20;

/// What the store said lately, for when it is down. Bounded: when it is full,
/// what is older than the rest goes.
#[derive(Debug, Default)]
pub(crate) struct StaleCache(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    by_key: HashMap<SessionKey, (Timestamp, Arc<Current>)>,
    bytes: usize,
}

impl StaleCache {
    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn remember(&self, current: &Arc<Current>, now: Timestamp) {
        let mut entries = self.lock();
        entries.remove(&current.key);
        entries.bytes += current.record.payload().len();
        entries.by_key.insert(current.key, (now, Arc::clone(current)));
        if entries.bytes > MAX_BYTES {
            entries.drop_older_half();
        }
    }

    pub(crate) fn forget(&self, key: &SessionKey) {
        self.lock().remove(key);
    }

    pub(crate) fn clear(&self) {
        *self.lock() = Entries::default();
    }

    /// Returns what was seen at most `max_age` ago and has not expired since.
    pub(crate) fn recall(
        &self,
        key: &SessionKey,
        max_age: Duration,
        now: Timestamp,
    ) -> Option<Arc<Current>> {
        let entries = self.lock();
        let (seen, current) = entries.by_key.get(key)?;
        let fresh = now.since(*seen) <= max_age;
        let lives = current.expires.is_none_or(|expires| now < expires);
        (fresh && lives).then(|| Arc::clone(current))
    }
}

impl Entries {
    fn remove(&mut self, key: &SessionKey) {
        if let Some((_, current)) = self.by_key.remove(key) {
            self.bytes -= current.record.payload().len();
        }
    }

    fn drop_older_half(&mut self) {
        let mut by_age: Vec<_> = self.by_key.iter().map(|(key, (seen, _))| (*seen, *key)).collect();
        by_age.sort_unstable();
        for (_, key) in &by_age[..by_age.len().div_ceil(2)] {
            self.remove(key);
        }
    }
}
