//! What a session handle knows, behind its mutex.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::changes::Changes;
use crate::frame::Meta;
use crate::manager::lock::HeldLock;
use crate::record::{Record, View};
use crate::{
    Conflict, CookieAction, Error, ErrorKind, FencingToken, Operation, Owner, Policy, Result,
    Serializers, SessionId, SessionKey, Status, Timestamp, Version,
};

/// What a session handle knows.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) status: Status,
    /// Whether the client sent a well-formed id.
    pub(crate) presented: bool,
    /// The stored session that the handle stands for, if there is one.
    pub(crate) current: Option<Arc<Current>>,
    /// Where a logout begins although the session cannot be used from there: it
    /// has a new id, its record does not verify, or the store was down.
    pub(crate) endable: Option<SessionKey>,
    /// What is being saved at this moment.
    pub(crate) saving: Option<Saving>,
    /// What was changed and is not being saved yet.
    pub(crate) changes: Changes,
    /// Whether anything was changed after the response headers were settled, that
    /// nobody has begun to save.
    pub(crate) late: bool,
    /// Whether a new id was asked for.
    pub(crate) regenerate: bool,
    /// Whether a save may have happened in spite of its error. Its changes are
    /// tried again only on the very state that they were made on.
    pub(crate) in_doubt: bool,
    /// Counts how often the session was destroyed and begun anew.
    pub(crate) life: u32,
    /// What happens on a conflict, if it is not what the policy says.
    pub(crate) conflict: Option<Conflict>,
    /// Records to be destroyed with the next save.
    pub(crate) doomed: Vec<Doomed>,
    /// Why the session must not be changed, if it must not.
    pub(crate) read_only: Option<ReadOnly>,
    /// Whether the response headers are settled, so that no new id reaches the client.
    pub(crate) sealed: bool,
    pub(crate) lock: Option<Box<HeldLock>>,
    /// Hears of the session's end, from the first time that somebody asks.
    pub(crate) end: Option<watch::Receiver<bool>>,
    pub(crate) cookie: CookieAction,
}

/// What loading found: all that a session handle begins with.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) status: Status,
    pub(crate) current: Option<Arc<Current>>,
    pub(crate) endable: Option<SessionKey>,
    pub(crate) read_only: Option<ReadOnly>,
    /// Boxed, because few sessions are exclusive.
    pub(crate) lock: Option<Box<HeldLock>>,
}

impl Opened {
    /// Finds no session.
    pub(crate) const fn nothing(status: Status) -> Self {
        Self { status, current: None, endable: None, read_only: None, lock: None }
    }
}

/// What is being saved at this moment.
#[derive(Debug)]
pub(crate) struct Saving {
    pub(crate) changes: Arc<Changes>,
    /// Whether it gives the session a new id.
    pub(crate) regenerate: bool,
    /// The life that it belongs to.
    pub(crate) life: u32,
}

/// A stored session.
#[derive(Clone, Debug)]
pub(crate) struct Current {
    pub(crate) id: SessionId,
    pub(crate) key: SessionKey,
    pub(crate) version: Version,
    pub(crate) record: Record,
    /// When the store will end it; `None` if the store cannot tell.
    pub(crate) expires: Option<Timestamp>,
}

/// A record that is to be destroyed.
#[derive(Clone, Debug)]
pub(crate) struct Doomed {
    pub(crate) key: SessionKey,
    /// The version that was seen; `None` if none was.
    pub(crate) version: Option<Version>,
    /// Whose session it was seen to be.
    pub(crate) owner: Option<Owner>,
}

impl Doomed {
    /// Is to destroy a session as it was seen.
    pub(crate) fn of(current: &Current) -> Self {
        let owner = current.record.meta().owner.clone();
        Self { key: current.key, version: Some(current.version.clone()), owner }
    }
}

/// Why a session must not be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadOnly {
    /// The caller asked to read only.
    Asked,
    /// The store was down when it was loaded.
    Degraded,
    /// It was reached by an id that has been replaced.
    Moved,
    /// It was found dead by a save.
    Ended,
}

impl ReadOnly {
    fn error(self) -> Error {
        let (kind, message) = match self {
            Self::Asked => (
                ErrorKind::Unsupported,
                "this request opened its session to read only; load it with `load` to change it",
            ),
            Self::Degraded => {
                (ErrorKind::Degraded, "the store is down, so the session cannot be changed now")
            }
            Self::Moved => (
                ErrorKind::Gone,
                "the session has a new id, and this request came with the old one",
            ),
            Self::Ended => (ErrorKind::Gone, "the session has ended meanwhile"),
        };
        Error::new(kind, Operation::Change, message)
    }
}

impl State {
    /// Begins with what loading found, when nothing is changed yet.
    pub(crate) fn new(opened: Opened, presented: bool) -> Self {
        let Opened { status, current, endable, read_only, lock } = opened;
        Self {
            status,
            presented,
            current,
            endable,
            saving: None,
            changes: Changes::default(),
            late: false,
            regenerate: false,
            in_doubt: false,
            life: 0,
            conflict: None,
            doomed: Vec::new(),
            read_only,
            sealed: false,
            lock,
            end: None,
            cookie: CookieAction::Keep,
        }
    }

    /// Checks that the session may be changed.
    pub(crate) fn writable(&self) -> Result<()> {
        if let Some(reason) = self.read_only {
            return Err(reason.error());
        }
        if self.sealed && self.current.is_none() {
            let message = "the response headers have left, so a new session cannot reach the \
                           client; change the session before answering";
            return Err(Error::new(ErrorKind::Late, Operation::Change, message));
        }
        Ok(())
    }

    pub(crate) fn view<'a>(&'a self, serializers: &'a Serializers) -> View<'a> {
        View {
            base: self.current.as_ref().map(|current| &current.record),
            saving: self.saving.as_ref().filter(|s| s.life == self.life).map(|s| &*s.changes),
            changes: &self.changes,
            serializers,
        }
    }

    /// Takes the stored session away, to be destroyed with the next save. What is
    /// set from now on makes a new session.
    pub(crate) fn doom(&mut self) {
        self.life += 1;
        self.end = None;
        self.forget_changes();
        let current = self.current.take();
        let endable = self.endable.take();
        let doomed = current.as_deref().map(Doomed::of);
        // What is only read is reached from where the logout begins.
        let apart = endable.is_none() || self.read_only.is_none();
        self.doomed.extend(endable.map(|key| {
            let owner = doomed.as_ref().and_then(|doomed| doomed.owner.clone());
            Doomed { key, version: None, owner }
        }));
        self.doomed.extend(doomed.filter(|_| apart));
        if self.read_only == Some(ReadOnly::Moved) {
            self.read_only = None;
        }
        self.forget_id();
    }

    /// Drops what was changed and not saved.
    pub(crate) fn forget_changes(&mut self) {
        self.changes = Changes::default();
        self.regenerate = false;
        self.in_doubt = false;
    }

    /// Has the client forget its id, if it has one. An id that was issued in this
    /// request has not reached the client.
    pub(crate) fn forget_id(&mut self) {
        self.cookie = if self.presented { CookieAction::Remove } else { CookieAction::Keep };
    }

    /// Returns the lock to write under, if it is the lock of this very session.
    pub(crate) fn fence(&self) -> Option<FencingToken> {
        let (lock, current) = self.lock.as_ref().zip(self.current.as_ref())?;
        (lock.key() == current.key).then(|| lock.token())
    }

    /// Takes a lock that is of no more use.
    pub(crate) fn take_spent_lock(&mut self) -> Option<Box<HeldLock>> {
        if self.sealed || self.fence().is_none() { self.lock.take() } else { None }
    }

    /// Marks the session as found dead by a save.
    pub(crate) fn mark_ended(&mut self) {
        self.current = None;
        self.forget_changes();
        self.read_only = Some(ReadOnly::Ended);
    }

    /// Marks the session as found under a new id, by which it can only be ended.
    pub(crate) fn mark_moved(&mut self, target: SessionKey) {
        self.mark_ended();
        self.endable = Some(target);
        self.read_only = Some(ReadOnly::Moved);
    }

    /// Returns how long to extend the lifetime by now, or `None` if it is too early.
    pub(crate) fn touch_due(&self, policy: &Policy, now: Timestamp) -> Option<Duration> {
        let current = self.current.as_ref()?;
        if self.read_only.is_some() {
            return None;
        }
        let meta = current.record.meta();
        let idle = idle(meta, policy);
        let Some(expires) = current.expires else { return Some(idle) };
        let reach = match meta.absolute {
            Some(absolute) => absolute.min(now.after(idle)),
            None => now.after(idle),
        };
        let gain = reach.since(expires);
        (!gain.is_zero() && gain >= policy.touch_every(idle)).then_some(idle)
    }

    /// Whether there is anything to do in the store, or to wait for.
    pub(crate) fn pending(&self, policy: &Policy, now: impl FnOnce() -> Timestamp) -> bool {
        !self.doomed.is_empty()
            || self.saving.is_some()
            || !self.changes.is_empty()
            || ((self.regenerate || self.in_doubt) && self.current.is_some())
            || self.lock.is_some()
            || self.touch_due(policy, now()).is_some()
    }

    /// Decides what the client has to be told, now that all is saved.
    pub(crate) fn cookie(&self, policy: &Policy, now: impl FnOnce() -> Timestamp) -> CookieAction {
        match &self.current {
            Some(current)
                if policy.rolling
                    && self.read_only.is_none()
                    && self.cookie == CookieAction::Keep =>
            {
                set_cookie(current, policy, now())
            }
            _ => self.cookie.clone(),
        }
    }
}

/// Returns the idle lifetime of a session.
pub(crate) fn idle(meta: &Meta, policy: &Policy) -> Duration {
    meta.idle.unwrap_or(policy.idle)
}

/// Returns the cookie that hands out the present id.
///
/// A persistent cookie lives until the absolute deadline, or for ever where there
/// is none, so that it need not be sent again while the store moves the idle
/// deadline. One that rolls is sent again, and lives as long as the record.
pub(crate) fn set_cookie(current: &Current, policy: &Policy, now: Timestamp) -> CookieAction {
    let meta = current.record.meta();
    let persistent = meta.persistent.unwrap_or(policy.persistent);
    let session = meta.absolute.map_or(Duration::MAX, |absolute| absolute.since(now));
    let lives = if policy.rolling { session.min(idle(meta, policy)) } else { session };
    CookieAction::Set { id: current.id.clone(), max_age: persistent.then_some(lives) }
}
