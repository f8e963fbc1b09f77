//! Puts a session into the store: for the first time, or over what is there.

use std::sync::Arc;

use super::Core;
use super::boxed::boxed;
use super::load::Found;
use super::queue::Turn;
use crate::changes::Changes;
use crate::frame::Meta;
use crate::record::{Record, RecordWriter};
use crate::session::state::{Current, Doomed, idle};
use crate::{
    Conflict, Error, ErrorKind, Event, FencingToken, Operation, Result, SessionId, SessionKey,
    Timestamp, Version, WriteMode, WriteOptions,
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
    pub(super) conflict: Conflict,
}

impl Work {
    /// How a save ends for which no lifetime is left: as it was asked to, or too
    /// late, if the session's own time ran out while the request was at work.
    pub(super) fn out_of_time(&self) -> Result<Saved, Failure> {
        let meta = &self.changes.meta;
        let asked = meta.idle.is_some() || meta.absolute.is_some();
        if asked { Ok(Saved::Ended) } else { Err(Failure::Gone) }
    }
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
    /// The session has a new id, and is under this key.
    Moved(SessionKey),
    /// Anything else.
    Error(Error),
}

impl From<Error> for Failure {
    fn from(err: Error) -> Self {
        if err.kind() == ErrorKind::Gone { Self::Gone } else { Self::Error(err) }
    }
}

impl Core {
    pub(super) fn record_writer<'a>(&'a self, key: &'a SessionKey) -> RecordWriter<'a> {
        RecordWriter {
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
        options.absolute = meta.absolute.map(|absolute| absolute.since(now));
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
    pub(super) async fn create(self: &Arc<Self>, work: &Work) -> Result<Saved, Failure> {
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
            let Some(draft) = self.record_writer(&key).first(&meta, &work.changes)? else {
                return Ok(Saved::Unchanged);
            };
            let options = self.options(WriteMode::Create, draft.meta(), None, now);
            if options.lifetime().is_zero() {
                return Ok(Saved::Unchanged);
            }
            if self.policy.per_owner.is_some() {
                boxed(self.refuse_excess(work, draft.meta(), &key)).await?;
            }
            match self.write(&key, draft.payload().clone(), &options).await {
                Ok(version) => {
                    self.observe(&Event::Created);
                    if self.policy.per_owner.is_some() {
                        boxed(self.evict_excess(work, draft.meta(), &key)).await;
                    }
                    let written = self.written(&id, &key, version, draft, &options, now);
                    return Ok(Saved::Written(written));
                }
                Err(err) if err.kind() == ErrorKind::AlreadyExists => {}
                Err(err) => {
                    boxed(self.take_back(&key, &draft, &err)).await;
                    return Err(err.into());
                }
            }
        }
        Err(taken().into())
    }

    /// After a creation in doubt, removes what it may have left: nobody knows its
    /// id, but it would count as one of its owner's sessions. In the background,
    /// where there is one, and only tried: the record expires by itself.
    pub(super) async fn take_back(self: &Arc<Self>, key: &SessionKey, draft: &Record, err: &Error) {
        if !err.is_indeterminate() {
            return;
        }
        let (core, key, payload) = (Arc::clone(self), *key, draft.payload().clone());
        let remove = Box::pin(async move {
            let removed = async {
                match core.read(&key).await? {
                    // Somebody else's would have made the creation fail.
                    Some(stored) if stored.payload == payload => {
                        core.destroy(&key, Some(&stored.version)).await
                    }
                    _ => Ok(false),
                }
            };
            if let Err(err) = removed.await {
                core.unseen(&err);
            }
        });
        if self.runtime.is_some() { self.spawn(remove) } else { remove.await }
    }

    /// Writes what was changed, replayed on whatever is there by then.
    pub(super) async fn change(
        self: &Arc<Self>,
        current: &Arc<Current>,
        work: &Work,
    ) -> Result<Saved, Failure> {
        let mut base = Arc::clone(current);
        let mut conflicts = 0;
        let mut turn = None;
        loop {
            let writer = self.record_writer(&base.key);
            let draft = if work.in_doubt {
                // What makes no difference to the base may take back what is stored.
                Some(writer.replayed(&base.record, &work.changes)?)
            } else {
                writer.changed(&base.record, &work.changes)?
            };
            let Some(draft) = draft else {
                return Ok(if conflicts == 0 { Saved::Unchanged } else { Saved::Written(base) });
            };
            let mode = WriteMode::IfVersion(base.version.clone());
            let now = self.now();
            let options = self.options(mode, draft.meta(), work.fence, now);
            if options.lifetime().is_zero() {
                boxed(self.end(&Doomed::of(&base))).await?;
                return work.out_of_time();
            }
            if self.policy.per_owner.is_some() {
                boxed(self.refuse_excess(work, draft.meta(), &base.key)).await?;
            }
            match self.write(&base.key, draft.payload().clone(), &options).await {
                Ok(version) => {
                    self.observe(&Event::Saved { conflicts });
                    if self.policy.per_owner.is_some() {
                        boxed(self.evict_excess(work, draft.meta(), &base.key)).await;
                    }
                    let written = self.written(&base.id, &base.key, version, draft, &options, now);
                    return Ok(Saved::Written(written));
                }
                Err(err) if err.kind() == ErrorKind::Conflict => {
                    conflicts += 1;
                    if turn.is_none() && work.fence.is_none() {
                        turn = Some(boxed(self.stand_in_line(&base.key)).await?);
                    }
                    boxed(self.catch_up(&mut base, work, conflicts, err)).await?;
                }
                Err(err) => return Err(err.into()),
            }
        }
    }

    /// Waits behind the other savers of the session in this process.
    pub(super) async fn stand_in_line(&self, key: &SessionKey) -> Result<Turn> {
        let turn = boxed(async { Ok(self.queues.turn(key).await) });
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
            Found::Pointer(pointer) => return Err(Failure::Moved(pointer.target)),
            Found::Expired | Found::Damaged | Found::Nothing => return Err(Failure::Gone),
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

/// The error for a generator that only draws ids that are taken.
pub(super) fn taken() -> Error {
    let message = "no free id in 8 draws; the random generator is broken";
    Error::new(ErrorKind::Internal, Operation::Id, message)
}
