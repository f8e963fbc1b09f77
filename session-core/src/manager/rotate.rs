//! Gives a session a new id.

use std::sync::Arc;
use std::time::Duration;

use super::Core;
use super::write::{Failure, MAX_DRAWS, Saved, Work, taken};
use crate::frame::{self, Pointer};
use crate::policy::POINTER_LIFE;
use crate::record::Record;
use crate::session::state::{Current, Doomed};
use crate::{
    Error, ErrorKind, Event, Result, SessionId, SessionKey, Timestamp, Version, WriteMode,
    WriteOptions,
};

/// The record under the new id, before and after the old one has ended.
struct New {
    id: SessionId,
    key: SessionKey,
    version: Version,
    draft: Record,
    options: WriteOptions,
}

impl Core {
    /// Gives a session a new id, in steps that each concern one key.
    ///
    /// First the new record is inserted; nobody can present its id yet. Then the
    /// old one is replaced by a pointer, at the version that was copied: that
    /// write decides which of several changes of id wins, and until it the old
    /// id is the only one.
    pub(super) async fn regenerate(
        self: &Arc<Self>,
        current: &Arc<Current>,
        work: &Work,
    ) -> Result<Saved, Failure> {
        let mut old = Arc::clone(current);
        let Some(mut new) = self.insert(&old, work).await? else {
            self.end(&Doomed::of(&old)).await?;
            return work.out_of_time();
        };
        let mut conflicts = 0;
        let mut turn = None;
        loop {
            let Err(err) = self.leave_pointer(&old, &new.key, work).await else { break };
            if err.kind() != ErrorKind::Conflict {
                return Err(self.give_up(&new, err).await);
            }
            conflicts += 1;
            if turn.is_none() && work.fence.is_none() {
                match self.stand_in_line(&old.key).await {
                    Ok(first) => turn = Some(first),
                    Err(err) => return Err(self.give_up(&new, err).await),
                }
            }
            if let Err(failure) = self.catch_up(&mut old, work, conflicts, err).await {
                drop(self.destroy(&new.key, None).await);
                return Err(failure);
            }
            match self.copy_again(&mut new, &old, work).await {
                Ok(()) => {}
                // Nobody uses the copy, so it expired while the session lived on.
                Err(Failure::Gone) => match self.insert(&old, work).await? {
                    Some(another) => new = another,
                    None => return Err(Failure::Gone),
                },
                Err(failure) => {
                    drop(self.destroy(&new.key, None).await);
                    return Err(failure);
                }
            }
        }
        self.watchers.moved(&old.key, &new.key);
        self.unremember(&old.key);
        self.observe(&Event::Regenerated);
        self.evict_excess(work, new.draft.meta(), &new.key).await;
        let New { id, key, version, draft, options } = new;
        Ok(Saved::Written(self.written(&id, &key, version, draft, &options, self.now())))
    }

    /// Stores a copy under a new id. `None` if its lifetime is over before it begins.
    async fn insert(self: &Arc<Self>, old: &Current, work: &Work) -> Result<Option<New>, Failure> {
        for _ in 0..MAX_DRAWS {
            let id = SessionId::generate(&*self.random)?;
            let key = SessionKey::of(&id);
            let draft = self.record_writer(&key).replayed(&old.record, &work.changes)?;
            let now = self.now();
            let options = self.options(WriteMode::Create, draft.meta(), None, now);
            if options.lifetime().is_zero() {
                return Ok(None);
            }
            self.refuse_excess(work, draft.meta(), &old.key).await?;
            match self.write(&key, draft.payload().clone(), &options).await {
                Ok(version) => return Ok(Some(New { id, key, version, draft, options })),
                Err(err) if err.kind() == ErrorKind::AlreadyExists => {}
                Err(err) => {
                    self.take_back(&key, &draft, &err).await;
                    return Err(err.into());
                }
            }
        }
        Err(taken().into())
    }

    /// Ends the old record, leaving a pointer for logouts that are on their way,
    /// and within the grace for reads.
    async fn leave_pointer(&self, old: &Current, target: &SessionKey, work: &Work) -> Result<()> {
        let now = self.now();
        // Who may have planted the old id must not look into what a login brings.
        let privilege = work.changes.meta.changes_privilege();
        let grace = if privilege { Duration::ZERO } else { self.policy.grace };
        // No grace is none on a host whose clock is behind, too.
        let readable_until =
            if grace.is_zero() { Timestamp::from_millis(0) } else { now.after(grace) };
        let pointer = Pointer { target: *target, readable_until };
        let payload = frame::pointer(&old.key, now, &pointer);
        let mode = WriteMode::IfVersion(old.version.clone());
        let mut options =
            WriteOptions::new(mode, POINTER_LIFE).with_absolute(POINTER_LIFE).as_pointer();
        options.fence = work.fence;
        self.write(&old.key, payload, &options).await.map(drop)
    }

    /// Brings the new record up to what the old one has become.
    async fn copy_again(&self, new: &mut New, old: &Current, work: &Work) -> Result<(), Failure> {
        new.draft = self.record_writer(&new.key).replayed(&old.record, &work.changes)?;
        let mode = WriteMode::IfVersion(new.version.clone());
        new.options = self.options(mode, new.draft.meta(), None, self.now());
        new.version = self.write(&new.key, new.draft.payload().clone(), &new.options).await?;
        Ok(())
    }

    /// Takes the new record back, unless the old one may have ended: then it is
    /// the session, though nobody is told its id.
    async fn give_up(&self, new: &New, err: Error) -> Failure {
        if !err.is_indeterminate() {
            drop(self.destroy(&new.key, None).await);
        }
        err.into()
    }
}
