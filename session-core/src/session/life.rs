//! The life of a session: new ids, owners, lifetimes, and its end.

use std::time::Duration;

use super::Session;
use super::state::{ReadOnly, State};
use crate::{Conflict, Error, ErrorKind, Operation, Owner, Result};

impl Session {
    /// Gives the session a new id when it is saved; the old id ends then.
    ///
    /// Call it whenever privileges change, above all at login. The data stays;
    /// call [`flush`](Self::flush) too if it must not. A session that is not
    /// stored yet gets its first id anyway, and this does nothing.
    ///
    /// Requests that are on their way with the old id find no session, but for
    /// the policy's [`grace`](crate::Policy::grace). If one of them stores
    /// something, that begins a session of its own; where its response comes last,
    /// the browser keeps that cookie instead of the new id. A page that loads
    /// several things at once should therefore wait for the answer to its login.
    ///
    /// # Errors
    ///
    /// When the session must not be changed.
    #[doc(alias = "rotate")]
    #[doc(alias = "sessionRegenerateId")]
    pub fn regenerate(&self) -> Result<()> {
        let late = self.change(|state| {
            state.regenerate |= state.current.is_some() && !state.sealed;
            state.sealed
        })?;
        if late {
            let message = "the response headers have left, so a new id cannot reach the client";
            return Err(Error::new(ErrorKind::Late, Operation::Change, message));
        }
        Ok(())
    }

    /// Ends the session when it is saved: nothing brings it back, under no id.
    ///
    /// What is set after this makes a new session. Ending a session that was
    /// never stored does nothing.
    ///
    /// # Errors
    ///
    /// When the session must not be changed. It can be destroyed though it was
    /// reached by its old id or got a new one meanwhile, or the store was down when
    /// it was loaded: a logout is tried in any case.
    pub fn destroy(&self) -> Result<()> {
        let mut state = self.state();
        if !matches!(state.read_only, Some(ReadOnly::Moved | ReadOnly::Degraded)) {
            state.writable().or_else(|err| match err.kind() {
                // Ending what was never stored is no late change.
                ErrorKind::Late => Ok(()),
                _ => Err(err),
            })?;
        }
        state.doom();
        Ok(())
    }

    /// Says whom the session belongs to, so that it is found and ended with the
    /// owner's others. A session that was bound is stored even if it is empty.
    ///
    /// # Errors
    ///
    /// When the name is no [`Owner`], or the session must not be changed.
    pub fn bind(&self, owner: impl AsRef<str>) -> Result<()> {
        let owner = Owner::new(owner.as_ref())?;
        self.change(|state| state.changes.meta.owner = Some(Some(owner)))
    }

    /// Takes the session's owner away.
    ///
    /// # Errors
    ///
    /// When the session must not be changed.
    pub fn unbind(&self) -> Result<()> {
        self.change(|state| state.changes.meta.owner = Some(None))
    }

    /// Returns whom the session belongs to.
    #[must_use]
    pub fn owner(&self) -> Option<Owner> {
        self.state().view(&self.0.core.serializers).owner()
    }

    /// Notes that the user has just proved who they are, and restarts the
    /// absolute lifetime, as NIST SP 800-63B-4 (5.2) allows.
    ///
    /// The lifetime is the policy's, also where [`set_absolute`](Self::set_absolute)
    /// was called before: of the two the later call counts, in this request or in
    /// another. Call `set_absolute` after this for a session with a lifetime of its own.
    ///
    /// # Errors
    ///
    /// When the session must not be changed.
    pub fn mark_authenticated(&self) -> Result<()> {
        let now = self.0.core.now();
        let absolute = self.0.core.policy.absolute.map(|absolute| now.after(absolute));
        self.change(|state| {
            state.changes.meta.authenticated = Some(now);
            state.changes.meta.absolute = Some(absolute);
        })
    }

    /// Returns how long ago [`mark_authenticated`](Self::mark_authenticated) was called;
    /// `None` if never. Ask for a password again when it is too long.
    #[must_use]
    pub fn since_authenticated(&self) -> Option<Duration> {
        let at = self.state().view(&self.0.core.serializers).authenticated()?;
        Some(self.0.core.now().since(at))
    }

    /// Returns how long ago the session was created; zero if it is not stored yet.
    #[must_use]
    pub fn age(&self) -> Duration {
        let state = self.state();
        let created = state.current.as_ref().map(|current| current.record.meta().created);
        created.map_or(Duration::ZERO, |created| self.0.core.now().since(created))
    }

    /// Sets how long this session lives without being used; `None` for the policy's.
    /// Zero ends it.
    ///
    /// # Errors
    ///
    /// When the session must not be changed.
    pub fn set_idle(&self, idle: Option<Duration>) -> Result<()> {
        self.change(|state| state.changes.meta.idle = Some(idle))
    }

    /// Sets how long this session lives from now at the most, however much it is
    /// used; `None` for no such limit. Zero ends it. It counts until
    /// [`mark_authenticated`](Self::mark_authenticated) is called.
    ///
    /// # Errors
    ///
    /// When the session must not be changed.
    pub fn set_absolute(&self, absolute: Option<Duration>) -> Result<()> {
        let at = absolute.map(|absolute| self.0.core.now().after(absolute));
        self.change(|state| state.changes.meta.absolute = Some(at))
    }

    /// Sets whether this session's cookie outlives the browser; `None` for the
    /// policy's answer.
    ///
    /// Alone it remembers nobody: the session still ends with its lifetimes. "Remember
    /// me" is this, [`set_idle`](Self::set_idle), and, after
    /// [`mark_authenticated`](Self::mark_authenticated), [`set_absolute`](Self::set_absolute).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let session = session_core::SessionManager::new(session_core::MemoryHandler::new()).create();
    /// let month = Duration::from_secs(30 * 24 * 3600);
    /// session.mark_authenticated()?;
    /// session.set_persistent(Some(true))?;
    /// session.set_idle(Some(month))?;
    /// session.set_absolute(Some(month))?;
    /// # Ok::<(), session_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the session must not be changed.
    pub fn set_persistent(&self, persistent: Option<bool>) -> Result<()> {
        self.change(|state| state.changes.meta.persistent = Some(persistent))
    }

    /// Sets what happens when another request changes the session at the same
    /// time, for this request only: the choice itself is not stored. Without it,
    /// the policy's [`conflict`](crate::Policy::conflict) says so.
    ///
    /// ```
    /// use session_core::{Conflict, ErrorKind, MemoryHandler, SessionManager};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> session_core::Result<()> {
    /// let sessions = SessionManager::new(MemoryHandler::new());
    /// let session = sessions.create();
    /// session.set("stock", 3)?;
    /// session.save().await?;
    ///
    /// // Ordering must not go by what another request has changed meanwhile.
    /// let order = sessions.load(&session.id().expect("it is saved")).await?;
    /// order.set_conflict(Conflict::Strict);
    /// order.set("stock", 2)?;
    ///
    /// session.set("stock", 0)?;
    /// session.save().await?;
    /// assert_eq!(order.save().await.unwrap_err().kind(), ErrorKind::Conflict);
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_conflict(&self, conflict: Conflict) {
        self.state().conflict = Some(conflict);
    }

    /// Waits until the session ends: until this process destroys or revokes it.
    /// A change of id does not end it. For streams that must not outlive a logout.
    ///
    /// Another process's logout is seen when this process meets the dead session,
    /// and its change of id when this process meets the old id within a minute. Does
    /// not notice that the lifetime runs out; call [`refresh`](Self::refresh) or
    /// [`reload`](Self::reload) in the loop of a long stream. Returns at
    /// once if the session is not stored (any more). The first call reads the
    /// store once.
    pub async fn ended(&self) {
        let (current, known, life) = {
            let state = self.state();
            let current = state.current.as_ref().map(|current| (current.id.clone(), current.key));
            // After a change of id elsewhere it is still known where the end is told.
            let known = current.is_some() || state.read_only == Some(ReadOnly::Moved);
            (current, state.end.clone().filter(|_| known), state.life)
        };
        let end = match (known, current) {
            (Some(end), _) => Some(end),
            (None, Some((id, key))) => self.0.core.watch(&id, key).await,
            (None, None) => None,
        };
        let Some(mut end) = end else { return };
        match &mut *self.state() {
            State { current: Some(_), end: unknown @ None, life: now, .. } if *now == life => {
                *unknown = Some(end.clone());
            }
            _ => {}
        }
        // The sender goes away only after it has told.
        drop(end.wait_for(|ended| *ended).await);
    }

    /// Stores the session with the next save even if it is empty, for
    /// applications that want an id for every visitor.
    ///
    /// # Errors
    ///
    /// When the session must not be changed.
    pub fn establish(&self) -> Result<()> {
        self.change(|state| {
            if state.current.is_none() {
                state.changes.meta.establish = true;
            }
        })
    }
}
