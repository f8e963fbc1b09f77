//! Ends sessions, wherever they have moved meanwhile.

use std::sync::Arc;

use super::Core;
use super::stale::Era;
use crate::frame::Frame;
use crate::session::state::{Current, Doomed};
use crate::{Error, ErrorKind, Event, Operation, Result, SessionKey, Version};

/// How often a session may change or have moved under a logout. Each time
/// somebody else has made progress.
const MAX_TRIES: usize = 64;

impl Core {
    /// Ends a session. One call to the store, unless it was written meanwhile.
    pub(crate) async fn end(self: &Arc<Self>, doomed: &Doomed) -> Result<()> {
        self.end_lineage(doomed.key, doomed.version.clone()).await?;
        self.observe(&Event::Destroyed);
        if let Some(owner) = &doomed.owner {
            // Some may watch it by an id that another process has replaced.
            self.look_at(self.watchers.seen_of(owner)).await;
        }
        Ok(())
    }

    /// Ends the session under `key`, following it to the key it has moved to.
    ///
    /// A record is removed only at a version that was seen to be the session
    /// itself. Removing it blindly could remove a pointer that a change of id
    /// has just left there, and the session would live on.
    async fn end_lineage(&self, key: SessionKey, version: Option<Version>) -> Result<()> {
        let (mut key, mut version) = (key, version);
        let mut pointers = Vec::new();
        for _ in 0..MAX_TRIES {
            if let Some(seen) = version.take() {
                match self.destroy(&key, Some(&seen)).await {
                    Ok(_) => return self.clear_up(&key, &pointers).await,
                    Err(err) if err.kind() == ErrorKind::Conflict => {}
                    Err(err) => return Err(err),
                }
            }
            let stored = match self.read(&key).await {
                Ok(Some(stored)) => stored,
                Ok(None) => return self.clear_up(&key, &pointers).await,
                // What does not even read cannot be a pointer that anybody follows.
                Err(err) if err.kind() == ErrorKind::Corrupt => {
                    self.destroy(&key, None).await?;
                    return self.clear_up(&key, &pointers).await;
                }
                Err(err) => return Err(err),
            };
            match self.parse(&stored.payload, &key) {
                Ok(Frame::Pointer(pointer)) => {
                    pointers.push(key);
                    key = pointer.target;
                }
                Ok(Frame::Session(_)) | Err(_) => version = Some(stored.version),
            }
        }
        let message = "the session was written faster than it could be destroyed; try again";
        Err(Error::new(ErrorKind::Conflict, Operation::Destroy, message))
    }

    /// Clears up after a session: the pointers that led to it, and what this
    /// process remembers.
    async fn clear_up(&self, key: &SessionKey, pointers: &[SessionKey]) -> Result<()> {
        // In this order, because those who watch go from pointer to pointer.
        for key in pointers.iter().chain([key]) {
            self.announce_end(key);
        }
        for pointer in pointers {
            self.destroy(pointer, None).await?;
        }
        Ok(())
    }

    /// Tells this process that a session is over.
    pub(super) fn announce_end(&self, key: &SessionKey) {
        self.watchers.tell(key);
        if let Some(stale) = &self.stale {
            stale.bury(key, self.now());
        }
    }

    /// Takes note that there is no session under a key that somebody presented.
    pub(crate) fn found_dead(&self, key: &SessionKey) {
        self.watchers.tell(key);
        self.unremember(key);
    }

    /// Shows a session while the store is down, if it has not ended since the store
    /// was asked.
    pub(super) fn remember(&self, current: &Arc<Current>, asked: Option<Era>) {
        if let (Some(stale), Some(asked)) = (&self.stale, asked) {
            stale.remember(current, asked, self.now());
        }
    }

    /// No longer shows a session by this key while the store is down.
    pub(super) fn unremember(&self, key: &SessionKey) {
        if let Some(stale) = &self.stale {
            stale.forget(key);
        }
    }
}
