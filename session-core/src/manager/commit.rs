//! What happens to a session when it is saved.

use std::sync::Arc;
use std::time::Duration;

use super::Core;
use super::boxed::boxed;
use super::stale::{Era, StaleCache};
use super::write::{Failure, Saved, Work};
use crate::changes::Changes;
use crate::session::state::{Current, Doomed, Saving, State, set_cookie};
use crate::{CookieAction, Error, ErrorKind, Event, Operation, Result, Save, Session, SessionKey};

/// What one save begins with.
struct Job {
    current: Option<Arc<Current>>,
    work: Work,
    regenerate: bool,
    life: u32,
    /// When the store began to be asked.
    asked: Option<Era>,
}

impl Session {
    /// Saves, one save at a time.
    pub(crate) async fn commit(&self, save: Save) -> Result<()> {
        let turn = match self.0.saving.try_lock() {
            Ok(turn) => turn,
            Err(_) => self.0.saving.lock().await,
        };
        let result = self.commit_once(save).await;
        drop(turn);
        let lock = self.state().take_spent_lock();
        if let Some(lock) = lock {
            boxed(lock.free()).await;
        }
        result
    }

    async fn commit_once(&self, save: Save) -> Result<()> {
        let core = &self.0.core;
        self.end_doomed().await?;
        let job = self.begin(save);
        let Job { current, work, regenerate, .. } = &job;
        if let Some(current) = current.as_ref().filter(|_| work.changes.meta.owner.is_some()) {
            core.watchers.disowned(&current.key);
        }
        let result = match current {
            None if work.changes.is_empty() => Ok(Saved::Unchanged),
            None => core.create(work).await,
            Some(current) if *regenerate => boxed(core.regenerate(current, work)).await,
            Some(_) if work.changes.is_empty() && (!work.in_doubt || save == Save::Endings) => {
                Ok(Saved::Unchanged)
            }
            Some(current) => core.change(current, work).await,
        };
        let unchanged = matches!(result, Ok(Saved::Unchanged));
        self.settle(result, &job)?;
        if unchanged && save == Save::All {
            self.touch_if_due().await;
        }
        Ok(())
    }

    /// Takes what there is to save.
    fn begin(&self, save: Save) -> Job {
        let mut state = self.state();
        if let Some(lost) = state.saving.take()
            && lost.life == state.life
        {
            // The last save panicked, or was cancelled where there is no runtime.
            state.keep_unsaved(lost);
            state.in_doubt = true;
        }
        if save == Save::Endings {
            state.changes = Changes::default();
        }
        state.late = false;
        let changes = Arc::new(std::mem::take(&mut state.changes));
        let life = state.life;
        // A new id that is asked for from now on is another one.
        let regenerate = std::mem::take(&mut state.regenerate);
        state.saving = Some(Saving { changes: Arc::clone(&changes), regenerate, life });
        let work = Work {
            changes,
            fence: state.fence(),
            in_doubt: state.in_doubt,
            conflict: state.conflict.unwrap_or(self.0.core.policy.conflict),
        };
        let asked = self.0.core.stale.as_ref().map(StaleCache::era);
        Job { current: state.current.clone(), work, regenerate, life, asked }
    }

    /// Destroys what was asked to be destroyed. What fails stays on the list.
    async fn end_doomed(&self) -> Result<()> {
        loop {
            let Some(doomed) = self.state().doomed.first().cloned() else { return Ok(()) };
            boxed(self.0.core.end(&doomed)).await?;
            self.state().doomed.remove(0);
        }
    }

    /// Takes note of how a save ended.
    fn settle(&self, result: Result<Saved, Failure>, job: &Job) -> Result<()> {
        let core = &self.0.core;
        let before = job.current.as_ref();
        let mut state = self.state();
        let saving = state.saving.take();
        if state.life != job.life {
            return state.settle_past_life(result);
        }
        match result {
            Ok(Saved::Unchanged) => {}
            Ok(Saved::Written(current)) => core.settle_written(&mut state, current, job),
            Ok(Saved::Ended) => {
                state.current = None;
                state.forget_changes();
                state.forget_id();
            }
            Err(Failure::Gone) => {
                state.mark_ended();
                state.forget_id();
                before.iter().for_each(|before| core.announce_end(&before.key));
                drop(state);
                return Err(core.too_late(
                    "the session ended while this request was at work; nothing was saved",
                ));
            }
            Err(Failure::Moved(target)) => {
                // The client has been told the new id by another response.
                state.mark_moved(target);
                state.cookie = CookieAction::Keep;
                before.iter().for_each(|before| core.unremember(&before.key));
                drop(state);
                return Err(core.too_late(
                    "the session got a new id while this request was at work; nothing was saved",
                ));
            }
            Err(Failure::Error(err)) => {
                if let Some(saving) = saving {
                    state.keep_unsaved(saving);
                }
                state.in_doubt |= before.is_some() && leaves_doubt(&err);
                return Err(err);
            }
        }
        Ok(())
    }

    /// Extends the lifetime. A failure is reported to the observer only: the
    /// request itself has lost nothing.
    async fn touch_if_due(&self) {
        let core = &self.0.core;
        let due = {
            let state = self.state();
            let due = state.touch_due(&core.policy, core.now());
            due.zip(state.current.as_ref().map(|current| current.key))
        };
        let Some((idle, key)) = due else { return };
        if let Err(err) = self.extend(&key, idle).await {
            core.unseen(&err);
        }
    }

    /// Extends the lifetime, and takes note of what the store says. `false` if the
    /// session has ended, or has a new id.
    pub(crate) async fn extend(&self, key: &SessionKey, idle: Duration) -> Result<bool> {
        let core = &self.0.core;
        let lives = core.touch(key, idle).await?;
        let target = if lives { None } else { core.moved_to(key).await? };
        if lives {
            core.observe(&Event::Touched);
        } else {
            if target.is_none() {
                core.announce_end(key);
            }
            core.observe(&Event::SavedTooLate);
        }
        let mut state = self.state();
        // What is still to be saved must fail by itself, and not be forgotten.
        let unchanged = state.changes.is_empty();
        match state.current.as_mut().filter(|current| current.key == *key) {
            Some(current) if lives => {
                Arc::make_mut(current).expires = Some(core.now().after(idle));
            }
            Some(_) if unchanged => match target {
                Some(target) => state.mark_moved(target),
                None => state.mark_ended(),
            },
            _ => {}
        }
        Ok(lives)
    }
}

impl Core {
    /// Takes note that the store has `current` now, and what the client has to be
    /// told of it.
    fn settle_written(&self, state: &mut State, current: Arc<Current>, job: &Job) {
        let new_id = job.current.as_ref().is_none_or(|before| before.id != current.id);
        let meta = &job.work.changes.meta;
        let new_life = meta.idle.is_some() || meta.absolute.is_some() || meta.persistent.is_some();
        if new_id || new_life {
            state.cookie = set_cookie(&current, &self.policy, self.now());
        }
        self.remember(&current, job.asked);
        state.current = Some(current);
        state.in_doubt = false;
    }

    /// Reports a save that came after the session's end, and returns its error.
    fn too_late(&self, message: &'static str) -> Error {
        self.observe(&Event::SavedTooLate);
        Error::new(ErrorKind::Gone, Operation::Write, message)
    }
}

impl State {
    /// Takes note of how a save ended whose session was destroyed meanwhile.
    fn settle_past_life(&mut self, result: Result<Saved, Failure>) -> Result<()> {
        match result {
            Ok(Saved::Written(current)) => {
                self.doomed.push(Doomed::of(&current));
                Ok(())
            }
            Err(Failure::Error(err)) => Err(err),
            Ok(Saved::Unchanged | Saved::Ended) | Err(Failure::Gone | Failure::Moved(_)) => Ok(()),
        }
    }

    /// Keeps what was not saved, below what came after, for another try.
    fn keep_unsaved(&mut self, unsaved: Saving) {
        self.regenerate |= unsaved.regenerate;
        let unsaved = Arc::unwrap_or_clone(unsaved.changes);
        let later = std::mem::replace(&mut self.changes, unsaved);
        self.changes.then(later);
    }
}

/// Whether, after this error, the stored session may have changed. Reading it
/// changes nothing, and what may have been inserted under an id that nobody knows
/// is another record, which is taken back.
fn leaves_doubt(err: &Error) -> bool {
    let harmless =
        matches!(err.operation(), Operation::Read | Operation::Index | Operation::Create);
    err.is_indeterminate() && !harmless
}
