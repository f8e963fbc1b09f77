//! For integrations: the session at the end of its request.

use std::sync::Arc;

use super::{CookieAction, Save, Session};
use crate::{Result, Shielded};

impl Session {
    /// Settles what the response tells the client. For integrations, once, when
    /// the response headers are known.
    ///
    /// Returns the work to do in the store, or `None` if there is none, which
    /// needs neither await nor allocation. After it [`cookie`](Self::cookie) is final.
    #[must_use]
    pub fn seal(&self, save: Save) -> Option<Shielded<Result<()>>> {
        let core = &self.0.core;
        let pending = {
            let mut state = self.state();
            state.sealed = true;
            state.pending(&core.policy, || core.now())
        };
        core.draw_lottery();
        pending.then(|| {
            let session = self.clone();
            core.shield(Box::pin(async move { session.commit(save).await }))
        })
    }

    /// Saves in the background what nobody has saved yet. For integrations, when
    /// a response body ends without waiting; errors go to the observer.
    pub fn save_detached(&self) {
        if self.is_changed() {
            let session = self.clone();
            self.0.core.spawn(Box::pin(async move {
                if let Err(err) = session.commit(Save::All).await {
                    session.0.core.unseen(&err);
                }
            }));
        }
    }

    /// Returns what the client has to be told, also after a failed save: a
    /// session that was to be destroyed is forgotten by the client in any case.
    #[must_use]
    pub fn cookie(&self) -> CookieAction {
        self.state().cookie(&self.0.core.policy, || self.0.core.now())
    }

    /// Whether there are other clones of this session. Without any, only the
    /// caller can still change it.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// Whether there are changes that nobody has saved yet.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        let state = self.state();
        !state.changes.is_empty() || !state.doomed.is_empty() || state.regenerate
    }
}
