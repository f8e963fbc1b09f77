//! What happens to a session when it is saved.

use std::sync::Arc;
use std::time::Duration;

use super::Core;
use super::load::{Found, rare};
use crate::changes::Changes;
use crate::frame::Meta;
use crate::record::{Making, Record};
use crate::session::state::{Current, Doomed, Saving, State, idle, set_cookie};
use crate::{
    Conflict, CookieAction, Error, ErrorKind, Event, FencingToken, Operation, Result, Save,
    Session, SessionId, SessionKey, Timestamp, Version, WriteMode, WriteOptions,
};

/// How often an id is drawn when the key of the last one was taken.
pub(super) const MAX_DRAWS: usize = 8;
/// How often a save is replayed. Within a process the savers of one session
/// stand in line, so this is about other processes.
const MAX_CONFLICTS: u32 = 64;

/// What one save works with.
pub(super) struct Work {
    pub(super) changes: Arc<Changes>,
    pub(super) fence: Option<FencingToken>,
    /// Whether the changes may be in the store already.
    pub(super) in_doubt: bool,
    /// What happens if somebody else has changed the session.
    conflict: Conflict,
}

impl Work {
    /// How a save ends for which no lifetime is left: as it was asked to, or too
    /// late, if the session's own time ran out while the request was at work.
    pub(super) fn ended(&self) -> Result<Saved, Failure> {
        let meta = &self.changes.meta;
        let asked = meta.idle.is_some() || meta.absolute.is_some();
        if asked { Ok(Saved::Ended) } else { Err(Failure::Gone) }
    }
}

/// What one save begins with.
struct Job {
    current: Option<Arc<Current>>,
    work: Work,
    regenerate: bool,
    life: u32,
}

/// How a save ended.
pub(super) enum Saved {
    /// There was nothing to write.
    Unchanged,
    /// The store has this now.
    Written(Arc<Current>),
    /// It was given a lifetime that is over, and so was ended.
    Ended,
}

/// Why a save did not happen.
pub(super) enum Failure {
    /// The session was destroyed or expired.
    Gone,
    /// The session has a new id.
    Moved,
    /// Anything else.
    Error(Error),
}

impl From<Error> for Failure {
    fn from(err: Error) -> Self {
        if err.kind() == ErrorKind::Gone { Self::Gone } else { Self::Error(err) }
    }
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
        let lock = self.state().spent_lock();
        if let Some(lock) = lock {
            rare(lock.free()).await;
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
            Some(current) if *regenerate => rare(core.regenerate(current, work)).await,
            Some(_) if work.changes.is_empty() => Ok(Saved::Unchanged),
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
            let lost = Arc::unwrap_or_clone(lost.changes);
            let later = std::mem::replace(&mut state.changes, lost);
            state.changes.then(later);
            state.in_doubt = true;
        }
        if save == Save::Endings {
            state.changes = Changes::default();
        }
        let changes = Arc::new(std::mem::take(&mut state.changes));
        let life = state.life;
        state.saving = Some(Saving { changes: Arc::clone(&changes), life });
        let work = Work {
            changes,
            fence: state.fence(),
            in_doubt: state.in_doubt,
            conflict: state.conflict.unwrap_or(self.0.core.policy.conflict),
        };
        Job { current: state.current.clone(), work, regenerate: state.regenerate, life }
    }

    /// Destroys what was asked to be destroyed. What fails stays on the list.
    async fn end_doomed(&self) -> Result<()> {
        loop {
            let Some(doomed) = self.state().doomed.first().cloned() else { return Ok(()) };
            rare(self.0.core.end(&doomed)).await?;
            self.state().doomed.remove(0);
        }
    }

    /// Takes note of how a save ended.
    fn settle(&self, result: Result<Saved, Failure>, job: &Job) -> Result<()> {
        let core = &self.0.core;
        let Job { current: before, work, regenerate, life } = job;
        let mut state = self.state();
        let saving = state.saving.take();
        if state.life != *life {
            return state.settle_past_life(result);
        }
        let gone = |message| Err(Error::new(ErrorKind::Gone, Operation::Write, message));
        match result {
            Ok(Saved::Unchanged) => {
                state.in_doubt = false;
                Ok(())
            }
            Ok(Saved::Written(current)) => {
                let new_id = before.as_ref().is_none_or(|before| before.id != current.id);
                let meta = &work.changes.meta;
                let new_life =
                    meta.idle.is_some() || meta.absolute.is_some() || meta.persistent.is_some();
                if new_id || new_life {
                    state.cookie = set_cookie(&current, &core.policy, core.now());
                }
                if let Some(stale) = &core.stale {
                    stale.remember(&current, core.now());
                }
                state.current = Some(current);
                state.regenerate &= !regenerate;
                state.in_doubt = false;
                Ok(())
            }
            Ok(Saved::Ended) => {
                state.current = None;
                state.forget_changes();
                state.forget_id();
                Ok(())
            }
            Err(Failure::Gone) => {
                state.ended();
                state.forget_id();
                before.iter().for_each(|before| core.over(&before.key));
                core.observe(&Event::SavedTooLate);
                gone("the session ended while this request was at work; nothing was saved")
            }
            Err(Failure::Moved) => {
                // The client has been told the new id by another response.
                state.ended();
                state.cookie = CookieAction::Keep;
                before.iter().for_each(|before| core.unremember(&before.key));
                core.observe(&Event::SavedTooLate);
                gone("the session got a new id while this request was at work; nothing was saved")
            }
            Err(Failure::Error(err)) => {
                // Keep what was not saved, below what came after, for another try.
                let later = std::mem::take(&mut state.changes);
                let unsaved = saving.map(|saving| Arc::unwrap_or_clone(saving.changes));
                state.changes = unsaved.unwrap_or_default();
                state.changes.then(later);
                state.in_doubt |= before.is_some() && leaves_doubt(&err);
                Err(err)
            }
        }
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
    /// session has ended.
    pub(crate) async fn extend(&self, key: &SessionKey, idle: Duration) -> Result<bool> {
        let core = &self.0.core;
        let lives = core.touch(key, idle).await?;
        if lives {
            core.observe(&Event::Touched);
        } else {
            core.over(key);
            core.observe(&Event::SavedTooLate);
        }
        let mut state = self.state();
        // What is still to be saved must fail by itself, and not be forgotten.
        let unchanged = state.changes.is_empty();
        match state.current.as_mut().filter(|current| current.key == *key) {
            Some(current) if lives => {
                Arc::make_mut(current).expires = Some(core.now().after(idle));
            }
            Some(_) if unchanged => state.ended(),
            _ => {}
        }
        Ok(lives)
    }
}

impl State {
    /// Takes note of how a save ended whose session was destroyed meanwhile.
    fn settle_past_life(&mut self, result: Result<Saved, Failure>) -> Result<()> {
        match result {
            Ok(Saved::Written(current)) => {
                let version = Some(current.version.clone());
                self.doomed.push(Doomed { key: current.key, version });
                Ok(())
            }
            Err(Failure::Error(err)) => Err(err),
            Ok(Saved::Unchanged | Saved::Ended) | Err(Failure::Gone | Failure::Moved) => Ok(()),
        }
    }
}

impl Core {
    pub(super) fn making<'a>(&'a self, key: &'a SessionKey) -> Making<'a> {
        Making {
            key,
            serializers: &self.serializers,
            max_bytes: self.policy.max_bytes,
            max_keys: self.policy.max_keys,
        }
    }

    pub(super) fn options(
        &self,
        mode: WriteMode,
        meta: &Meta,
        fence: Option<FencingToken>,
        now: Timestamp,
    ) -> WriteOptions {
        let mut options = WriteOptions::new(mode, idle(meta, &self.policy));
        options.absolute = super::load::left(meta.absolute, now);
        options.age = now.since(meta.created);
        options.owner.clone_from(&meta.owner);
        options.fence = fence;
        options
    }

    /// Returns the session as it is after a write that was begun at `now`.
    pub(super) fn written(
        &self,
        id: &SessionId,
        key: &SessionKey,
        version: Version,
        record: Record,
        options: &WriteOptions,
        now: Timestamp,
    ) -> Arc<Current> {
        let expires = Some(now.after(options.lifetime()));
        Arc::new(Current { id: id.clone(), key: *key, version, record, expires })
    }

    /// Stores a session for the first time, under an id that nobody had before.
    async fn create(self: &Arc<Self>, work: &Work) -> Result<Saved, Failure> {
        let now = self.now();
        let meta = Meta {
            created: now,
            absolute: self.policy.absolute.map(|absolute| now.after(absolute)),
            idle: None,
            authenticated: None,
            owner: None,
            persistent: None,
        };
        for _ in 0..MAX_DRAWS {
            let id = SessionId::generate(&*self.random)?;
            let key = SessionKey::of(&id);
            let Some(draft) = self.making(&key).first(meta.clone(), &work.changes)? else {
                return Ok(Saved::Unchanged);
            };
            let options = self.options(WriteMode::Create, draft.meta(), None, now);
            if options.lifetime().is_zero() {
                return Ok(Saved::Unchanged);
            }
            if self.policy.per_owner.is_some() {
                rare(self.refuse_excess(work, draft.meta(), &key)).await?;
            }
            match self.write(&key, draft.payload().clone(), &options).await {
                Ok(version) => {
                    self.observe(&Event::Created);
                    if self.policy.per_owner.is_some() {
                        rare(self.evict_excess(work, draft.meta(), &key)).await;
                    }
                    let written = self.written(&id, &key, version, draft, &options, now);
                    return Ok(Saved::Written(written));
                }
                Err(err) if err.kind() == ErrorKind::AlreadyExists => {}
                Err(err) => return Err(err.into()),
            }
        }
        Err(taken().into())
    }

    /// Writes what was changed, replayed on whatever is there by then.
    async fn change(
        self: &Arc<Self>,
        current: &Arc<Current>,
        work: &Work,
    ) -> Result<Saved, Failure> {
        let mut base = Arc::clone(current);
        let mut conflicts = 0;
        let mut turn = None;
        loop {
            let Some(draft) = self.making(&base.key).changed(&base.record, &work.changes)? else {
                return Ok(if conflicts == 0 { Saved::Unchanged } else { Saved::Written(base) });
            };
            let mode = WriteMode::IfVersion(base.version.clone());
            let now = self.now();
            let options = self.options(mode, draft.meta(), work.fence, now);
            if options.lifetime().is_zero() {
                let doomed = Doomed { key: base.key, version: Some(base.version.clone()) };
                rare(self.end(&doomed)).await?;
                return work.ended();
            }
            if self.policy.per_owner.is_some() {
                rare(self.refuse_excess(work, draft.meta(), &base.key)).await?;
            }
            match self.write(&base.key, draft.payload().clone(), &options).await {
                Ok(version) => {
                    self.observe(&Event::Saved { conflicts });
                    if self.policy.per_owner.is_some() {
                        rare(self.evict_excess(work, draft.meta(), &base.key)).await;
                    }
                    let written = self.written(&base.id, &base.key, version, draft, &options, now);
                    return Ok(Saved::Written(written));
                }
                Err(err) if err.kind() == ErrorKind::Conflict => {
                    conflicts += 1;
                    if turn.is_none() && work.fence.is_none() {
                        turn = Some(rare(self.stand_in_line(&base.key)).await?);
                    }
                    rare(self.catch_up(&mut base, work, conflicts, err)).await?;
                }
                Err(err) => return Err(err.into()),
            }
        }
    }

    /// Waits behind the other savers of the session in this process.
    pub(super) async fn stand_in_line(&self, key: &SessionKey) -> Result<super::contention::Turn> {
        let turn = rare(async { Ok(self.contention.turn(key).await) });
        self.within(Operation::Write, self.policy.contention_wait, turn).await.map_err(|_| {
            let message = "too many requests change the session at once; try again";
            Error::new(ErrorKind::Conflict, Operation::Write, message)
        })
    }

    /// After a conflict, takes in what somebody else has written, as it was asked to be done.
    pub(super) async fn catch_up(
        &self,
        base: &mut Arc<Current>,
        work: &Work,
        conflicts: u32,
        conflict: Error,
    ) -> Result<(), Failure> {
        let fresh = match self.find(&base.id, &base.key).await? {
            Found::Live(fresh) => fresh,
            Found::Pointer(_) => return Err(Failure::Moved),
            Found::Expired | Found::Nothing => return Err(Failure::Gone),
        };
        if work.in_doubt {
            let message = "an earlier save may have happened; reload the session and look";
            return Err(Error::new(ErrorKind::Conflict, Operation::Write, message)
                .with_indeterminate(true)
                .into());
        }
        if conflicts > MAX_CONFLICTS {
            return Err(conflict.into());
        }
        match work.conflict {
            Conflict::Merge => *base = fresh,
            Conflict::Strict => return Err(conflict.into()),
            Conflict::LastWriteWins => {
                Arc::make_mut(base).version.clone_from(&fresh.version);
            }
        }
        Ok(())
    }
}

/// Whether, after this error, the stored session may have changed. Reading it
/// changes nothing, and an id that was inserted and not handed out harms nobody.
fn leaves_doubt(err: &Error) -> bool {
    let harmless =
        matches!(err.operation(), Operation::Read | Operation::Index | Operation::Create);
    err.is_indeterminate() && !harmless
}

/// The error for a generator that only draws ids that are taken.
pub(super) fn taken() -> Error {
    let message = "no free id in 8 draws; the random generator is broken";
    Error::new(ErrorKind::Internal, Operation::Id, message)
}
