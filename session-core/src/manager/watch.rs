//! Who wants to know when a session ends.

use std::collections::HashMap;
use std::sync::PoisonError;

use tokio::sync::watch;

use super::Core;
use super::load::Found;
use crate::sync::{Mutex, MutexGuard};
use crate::{SessionId, SessionKey};

/// Who wants to know when a session ends, inside this process.
#[derive(Debug, Default)]
pub(crate) struct Watchers(Mutex<HashMap<SessionKey, Vec<watch::Sender<bool>>>>);

impl Watchers {
    fn lock(&self) -> MutexGuard<'_, HashMap<SessionKey, Vec<watch::Sender<bool>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what turns true when the session ends.
    fn watch(&self, key: SessionKey) -> watch::Receiver<bool> {
        let mut watched = self.lock();
        if watched.len() >= 64 && watched.len().is_power_of_two() {
            watched.retain(|_, senders| senders.iter().any(|sender| sender.receiver_count() > 0));
        }
        let senders = watched.entry(key).or_default();
        if let Some(sender) = senders.first() {
            return sender.subscribe();
        }
        let (sender, receiver) = watch::channel(false);
        senders.push(sender);
        receiver
    }

    /// Tells that a session has ended.
    pub(super) fn tell(&self, key: &SessionKey) {
        for sender in self.lock().remove(key).unwrap_or_default() {
            sender.send_replace(true);
        }
    }

    /// Follows a session to its new key, where some may be watching already.
    pub(super) fn moved(&self, old: &SessionKey, new: &SessionKey) {
        let mut watched = self.lock();
        if let Some(senders) = watched.remove(old) {
            let heard = senders.into_iter().filter(|sender| sender.receiver_count() > 0);
            watched.entry(*new).or_default().extend(heard);
        }
    }

    /// Returns the sessions that somebody watches.
    pub(super) fn watched(&self) -> Vec<SessionKey> {
        self.lock().keys().copied().collect()
    }
}

impl Core {
    /// Returns what turns true when a session ends, wherever it is now. `None` if
    /// it has ended.
    pub(crate) async fn watch(
        &self,
        id: &SessionId,
        mut key: SessionKey,
    ) -> Option<watch::Receiver<bool>> {
        loop {
            // First watched, then looked at: in between nothing is missed.
            let end = self.watchers.watch(key);
            match self.find(id, &key).await {
                Ok(Found::Live(_)) => return Some(end),
                Ok(Found::Pointer(pointer)) => key = pointer.target,
                Ok(Found::Nothing | Found::Expired) => return None,
                // A store that is down says nothing about the session.
                Err(err) => {
                    self.unseen(&err);
                    return Some(end);
                }
            }
        }
    }
}
