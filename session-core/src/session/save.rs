//! Saving, and what goes with it: longer lives, another look, a freed lock.

use std::sync::Arc;

use super::Session;
use super::state::{Current, ReadOnly, idle};
use crate::manager::load::Found;
use crate::{Error, ErrorKind, Operation, Result};

/// How much of a request's work to keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Save {
    /// All of it.
    #[default]
    All,
    /// Only that a session ended or got a new id: what a failed request may not
    /// undo. Changes of data are dropped, and the lifetime is not extended.
    Endings,
}

impl Session {
    /// Saves now what was changed so far. Without this it happens when the
    /// request ends; what is changed afterwards is saved then.
    ///
    /// # Errors
    ///
    /// [`Gone`](ErrorKind::Gone) if the session ended meanwhile, so that nothing
    /// was written; [`Conflict`](ErrorKind::Conflict) where [`set_conflict`](Self::set_conflict)
    /// or the policy asks for it; else what the
    /// store says. If the error is [indeterminate](Error::is_indeterminate) the
    /// changes may have been saved.
    pub async fn save(&self) -> Result<()> {
        let session = self.clone();
        self.0.core.shield(Box::pin(async move { session.commit(Save::All).await })).await
    }

    /// Extends the lifetime now, without regard to the touch interval. Returns
    /// `false` if the session is not stored, or has ended or got a new id
    /// meanwhile; then it cannot be changed any more.
    ///
    /// # Errors
    ///
    /// What the store says.
    #[doc(alias = "touch")]
    pub async fn refresh(&self) -> Result<bool> {
        let (key, idle) = {
            let state = self.state();
            // The store was told what was left, and may be a little late.
            let over = |current: &Current| {
                current.record.meta().absolute.is_some_and(|end| end <= self.0.core.now())
            };
            match &state.current {
                Some(current) if state.read_only.is_none() && !over(current) => {
                    (current.key, idle(current.record.meta(), &self.0.core.policy))
                }
                _ => return Ok(false),
            }
        };
        self.extend(&key, idle).await
    }

    /// Drops what was changed and reads the session again.
    ///
    /// # Errors
    ///
    /// [`Gone`](ErrorKind::Gone) if it ended meanwhile, or another request gave it
    /// a new id; else what the store says.
    pub async fn reload(&self) -> Result<()> {
        let gone = |message| Err(Error::new(ErrorKind::Gone, Operation::Read, message));
        let (ended, moved) =
            ("the session has ended meanwhile", "the session has got a new id meanwhile");
        // After the save that is under way, lest it be read as it was before.
        let _turn = self.0.saving.lock().await;
        let (current, life) = {
            let mut state = self.state();
            state.forget_changes();
            // What a save that panicked has left.
            state.saving = None;
            match &state.current {
                Some(current) => (Arc::clone(current), state.life),
                None => match state.read_only {
                    Some(ReadOnly::Ended) => return gone(ended),
                    Some(ReadOnly::Moved) => return gone(moved),
                    _ => return Ok(()),
                },
            }
        };
        let found = self.0.core.find(&current.id, &current.key).await?;
        let mut state = self.state();
        if state.life != life {
            return Ok(());
        }
        match found {
            Found::Live(fresh) => {
                state.current = Some(fresh);
                Ok(())
            }
            Found::Pointer(pointer) => {
                state.mark_moved(pointer.target);
                gone(moved)
            }
            Found::Expired | Found::Damaged | Found::Nothing => {
                state.mark_ended();
                self.0.core.found_dead(&current.key);
                gone(ended)
            }
        }
    }

    /// Frees the lock of an exclusive session before slow work. From then on
    /// other requests may change the session, and this one's later changes are
    /// merged like anyone's.
    pub async fn unlock(&self) {
        let lock = self.state().lock.take();
        if let Some(lock) = lock {
            lock.free().await;
        }
    }
}
