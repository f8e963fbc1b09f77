//! Who wants to know when a session ends.

use std::collections::HashMap;
use std::sync::PoisonError;

use tokio::sync::watch;

use super::Core;
use super::load::Found;
use super::load::MAX_HOPS;
use crate::sync::{Mutex, MutexGuard};
use crate::{Owner, SessionId, SessionKey};

/// Who wants to know when a session ends, inside this process.
#[derive(Debug, Default)]
pub(crate) struct Watchers(Mutex<HashMap<SessionKey, Watched>>);

/// A session whose end somebody wants to know.
#[derive(Debug, Default)]
struct Watched {
    senders: Vec<watch::Sender<bool>>,
    /// Whom it belongs to for certain. `None` also for a session of nobody: it
    /// may have been bound elsewhere since it was read.
    owner: Option<Owner>,
}

impl Watchers {
    fn lock(&self) -> MutexGuard<'_, HashMap<SessionKey, Watched>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what turns true when the session ends.
    fn watch(&self, key: SessionKey) -> watch::Receiver<bool> {
        let mut watched = self.lock();
        if watched.len() >= 64 && watched.len().is_power_of_two() {
            watched.retain(|_, Watched { senders, .. }| {
                senders.iter().any(|sender| sender.receiver_count() > 0)
            });
        }
        let Watched { senders, .. } = watched.entry(key).or_default();
        if let Some(sender) = senders.first() {
            return sender.subscribe();
        }
        let (sender, receiver) = watch::channel(false);
        senders.push(sender);
        receiver
    }

    /// Tells that a session has ended.
    pub(super) fn tell(&self, key: &SessionKey) {
        for sender in self.lock().remove(key).unwrap_or_default().senders {
            sender.send_replace(true);
        }
    }

    /// Follows a session to its new key, where some may be watching already.
    pub(super) fn moved(&self, old: &SessionKey, new: &SessionKey) {
        let mut watched = self.lock();
        if let Some(Watched { mut senders, owner }) = watched.remove(old) {
            senders.retain(|sender| sender.receiver_count() > 0);
            let moved =
                watched.entry(*new).or_insert_with(|| Watched { owner, ..Watched::default() });
            moved.senders.append(&mut senders);
        }
    }

    /// Takes note of whom a session was seen to belong to.
    fn owned(&self, key: &SessionKey, owner: Option<&Owner>) {
        if let Some(watched) = self.lock().get_mut(key) {
            watched.owner = owner.cloned();
        }
    }

    /// Takes note that a session may get another owner.
    pub(super) fn disowned(&self, key: &SessionKey) {
        self.owned(key, None);
    }

    /// Returns the sessions that somebody watches and that may be this owner's.
    pub(super) fn watched_of(&self, owner: &Owner) -> Vec<SessionKey> {
        self.with_owner(|known| known.is_none_or(|known| known == owner))
    }

    /// Returns the sessions that somebody watches and that were seen to be this owner's.
    pub(super) fn seen_of(&self, owner: &Owner) -> Vec<SessionKey> {
        self.with_owner(|known| known == Some(owner))
    }

    fn with_owner(&self, fits: impl Fn(Option<&Owner>) -> bool) -> Vec<SessionKey> {
        let watched = self.lock();
        let fit = watched.iter().filter(|(_, watched)| fits(watched.owner.as_ref()));
        fit.map(|(key, _)| *key).collect()
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
        for _ in 0..MAX_HOPS {
            // First watched, then looked at: in between nothing is missed.
            let end = self.watchers.watch(key);
            match self.find(id, &key).await {
                Ok(Found::Live(current)) => {
                    self.watchers.owned(&key, current.record.meta().owner.as_ref());
                    return Some(end);
                }
                Ok(Found::Pointer(pointer)) => key = pointer.target,
                Ok(Found::Nothing | Found::Damaged | Found::Expired) => return None,
                // A store that is down says nothing about the session.
                Err(err) => {
                    self.unseen(&err);
                    return Some(end);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::frame::{self, Pointer};
    use crate::{
        MemoryHandler, SessionHandler, SessionManager, Timestamp, WriteMode, WriteOptions,
    };

    #[tokio::test]
    async fn a_forged_circle_of_pointers_is_not_followed_for_ever() {
        let handler = MemoryHandler::new();
        let sessions = SessionManager::new(handler.clone());
        let id = SessionId::generate(&crate::OsRandom).unwrap();
        let (one, two) = (SessionKey::of(&id), SessionKey::from_bytes([2; 32]));
        for (key, target) in [(one, two), (two, one)] {
            let pointer = Pointer { target, readable_until: Timestamp::from_millis(u64::MAX) };
            let payload = frame::pointer(&key, Timestamp::default(), &pointer);
            let options = WriteOptions::new(WriteMode::Create, Duration::from_secs(60));
            handler.write(&key, payload, &options.as_pointer()).await.unwrap();
        }
        assert!(sessions.0.watch(&id, one).await.is_none());
        sessions.0.look_at(vec![one]).await;
        assert!(sessions.load(&id).await.unwrap().all().unwrap().is_empty());
    }
}
