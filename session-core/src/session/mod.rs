//! The session object.

mod cookie;
mod data;
mod integrate;
mod key;
mod life;
mod save;
pub(crate) mod state;
mod status;

use std::fmt;
use std::sync::{Arc, PoisonError};

pub use self::cookie::CookieAction;
pub use self::key::Key;
pub use self::save::Save;
pub use self::status::Status;
use crate::manager::Core;
use crate::sync::{Mutex, MutexGuard};
use crate::{Error, ErrorKind, Operation, Result, SessionId};
use state::{Opened, State};

/// One visitor's session, loaded.
///
/// Everything but [`save`](Self::save), [`reload`](Self::reload),
/// [`refresh`](Self::refresh), [`unlock`](Self::unlock) and
/// [`ended`](Self::ended) works in memory and at once. What was changed is written when the request ends, in one step,
/// and on a conflict with another request it is replayed on what is there by then.
///
/// Clones are the same session: tasks of one request may share it.
///
/// ```
/// # use session_core::{MemoryHandler, SessionManager};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> session_core::Result<()> {
/// let sessions = SessionManager::new(MemoryHandler::new());
///
/// let session = sessions.create();
/// session.set("name", "Tom")?;
/// session.increment("visits", 1)?;
/// session.save().await?;
///
/// let id = session.id().expect("a saved session has an id");
/// let session = sessions.load(&id).await?;
/// assert_eq!(session.get::<String>("name")?.as_deref(), Some("Tom"));
/// assert_eq!(session.get::<u32>("visits")?, Some(1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Session(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) core: Arc<Core>,
    pub(crate) state: Mutex<State>,
    /// One save at a time.
    pub(crate) saving: tokio::sync::Mutex<()>,
}

impl Session {
    /// `presented` says whether the client sent a well-formed id.
    pub(crate) fn new(core: Arc<Core>, opened: Opened, presented: bool) -> Self {
        let state = Mutex::new(State::new(opened, presented));
        let saving = tokio::sync::Mutex::const_new(());
        Self(Arc::new(Inner { core, state, saving }))
    }

    /// Locks the state. What may call back into the session never runs under the
    /// lock: functions for [`update`](Self::update), iterators, or keys of the user's
    /// making. A poisoned lock is sound, because every step leaves the state whole.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, if the session may be changed.
    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> Result<R> {
        let mut state = self.state();
        state.writable()?;
        state.late |= state.sealed;
        Ok(change(&mut state))
    }

    /// Returns what loading found.
    #[must_use]
    pub fn status(&self) -> Status {
        self.state().status
    }

    /// Returns the secret id, or `None` if the session is not stored (yet).
    #[doc(alias = "getId")]
    #[must_use]
    pub fn id(&self) -> Option<SessionId> {
        self.state().current.as_ref().map(|current| current.id.clone())
    }

    /// Returns a name for the session that is safe to log and to show, or `None`
    /// if it is not stored (yet). It changes with the id.
    #[must_use]
    pub fn handle(&self) -> Option<String> {
        self.state().current.as_ref().map(|current| current.key.handle())
    }
}

/// Shows nothing that is in the session.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("status", &self.status()).finish_non_exhaustive()
    }
}

/// What was promised is kept even if the request's future is dropped or panics:
/// a logout that was asked for happens, and a lock is freed. Changes that came after
/// the response are not lost without a word.
impl Drop for Inner {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if state.late && !state.changes.is_empty() {
            let message = "what was changed after the response was never saved; call \
                           `save().await` in the task that changes the session";
            self.core.unseen(&Error::new(ErrorKind::Late, Operation::Change, message));
        }
        let doomed = std::mem::take(&mut state.doomed);
        if doomed.is_empty() {
            // A lock frees itself.
            return;
        }
        let lock = state.lock.take();
        let core = Arc::clone(&self.core);
        self.core.spawn(Box::pin(async move {
            for record in &doomed {
                if let Err(err) = core.end(record).await {
                    core.unseen(&err);
                }
            }
            if let Some(lock) = lock {
                lock.free().await;
            }
        }));
    }
}
