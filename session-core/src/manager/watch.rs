//! Who wants to know when a session ends.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::Core;
use super::load::Found;
use crate::{SessionId, SessionKey};

/// Who wants to know when a session ends, inside this process.
#[derive(Debug, Default)]
pub(crate) struct Watchers(Mutex<HashMap<SessionKey, Vec<oneshot::Sender<()>>>>);

impl Watchers {
    fn lock(&self) -> MutexGuard<'_, HashMap<SessionKey, Vec<oneshot::Sender<()>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks to be told. The receiver also ends, with an error, when nobody is
    /// left to tell.
    fn watch(&self, key: SessionKey) -> oneshot::Receiver<()> {
        let (tell, told) = oneshot::channel();
        let mut watched = self.lock();
        if watched.len() >= 64 && watched.len().is_power_of_two() {
            watched.retain(|_, watchers| watchers.iter().any(|watcher| !watcher.is_closed()));
        }
        let watchers = watched.entry(key).or_default();
        watchers.retain(|watcher| !watcher.is_closed());
        watchers.push(tell);
        told
    }

    /// Tells that a session has ended.
    pub(super) fn tell(&self, key: &SessionKey) {
        let watchers = self.lock().remove(key).unwrap_or_default();
        for watcher in watchers {
            // Whoever went away need not be told.
            let _ = watcher.send(());
        }
    }

    /// Follows a session to its new key.
    pub(super) fn moved(&self, old: &SessionKey, new: &SessionKey) {
        let mut watched = self.lock();
        if let Some(watchers) = watched.remove(old) {
            watched.entry(*new).or_default().extend(watchers);
        }
    }

    /// Returns the sessions that somebody watches.
    pub(super) fn watched(&self) -> Vec<SessionKey> {
        self.lock().keys().copied().collect()
    }
}

impl Core {
    /// Waits until a session ends, from wherever it is now.
    pub(crate) async fn ended_somewhere(&self, id: &SessionId, mut key: SessionKey) {
        loop {
            // First watched, then looked at: in between nothing is missed.
            let told = self.watchers.watch(key);
            match self.find(id, &key).await {
                Ok(Found::Nothing | Found::Expired) => return,
                Ok(Found::Pointer(pointer)) => {
                    key = pointer.target;
                    continue;
                }
                Ok(Found::Live(_)) => {}
                Err(err) => self.unseen(&err),
            }
            drop(told.await);
            return;
        }
    }
}
