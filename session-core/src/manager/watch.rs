//! Who wants to know when a session ends.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::SessionKey;

/// Who wants to know when a session ends, inside this process.
#[derive(Debug, Default)]
pub(crate) struct Watchers(Mutex<HashMap<SessionKey, watch::Sender<bool>>>);

impl Watchers {
    fn lock(&self) -> MutexGuard<'_, HashMap<SessionKey, watch::Sender<bool>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what turns true when the session ends.
    pub(crate) fn watch(&self, key: SessionKey) -> watch::Receiver<bool> {
        let mut watched = self.lock();
        if watched.len() >= 64 && watched.len().is_power_of_two() {
            watched.retain(|_, sender| sender.receiver_count() > 0);
        }
        watched.entry(key).or_default().subscribe()
    }

    /// Tells that a session has ended.
    pub(crate) fn tell(&self, key: &SessionKey) {
        if let Some(sender) = self.lock().remove(key) {
            sender.send_replace(true);
        }
    }

    /// Follows a session to its new key.
    pub(crate) fn moved(&self, old: &SessionKey, new: &SessionKey) {
        let mut watched = self.lock();
        if let Some(sender) = watched.remove(old)
            && sender.receiver_count() > 0
        {
            watched.insert(*new, sender);
        }
    }

    /// Returns the sessions that somebody watches.
    pub(crate) fn watched(&self) -> Vec<SessionKey> {
        self.lock().keys().copied().collect()
    }
}
