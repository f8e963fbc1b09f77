//! From the ids that a client presents to its session.

use std::sync::Arc;

use super::Core;
use super::boxed::boxed;
use super::stale::StaleCache;
use crate::frame::{Frame, Pointer};
use crate::record::Record;
use crate::session::state::{Current, Opened, ReadOnly};
use crate::{
    Bytes, Damage, Error, ErrorKind, Event, Operation, Outage, Result, Session, SessionId,
    SessionKey, Status, Stored,
};

/// How many ids of one request are looked at.
const MAX_CANDIDATES: usize = 4;
/// How many pointers are followed. More than one only happens when a session
/// got several new ids within a minute, or when somebody has forged a circle.
pub(super) const MAX_HOPS: usize = 8;

/// What a request wants of its session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// To read and change it.
    #[default]
    ReadWrite,
    /// To read it only: it takes no lock, changes are refused, and the lifetime is
    /// not extended.
    ReadOnly,
}

/// How a session is to be loaded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) access: Access,
    pub(super) outage: Outage,
}

/// What the store has under a key.
#[derive(Debug)]
pub(crate) enum Found {
    Live(Arc<Current>),
    Pointer(Pointer),
    Expired,
    /// What does not verify, and is to be taken for absent.
    Damaged,
    Nothing,
}

impl Core {
    pub(super) async fn load(self: &Arc<Self>, ids: &[SessionId], terms: Terms) -> Result<Session> {
        if matches!(terms.outage, Outage::Stale(_)) && self.stale.is_none() {
            let message = "nothing is kept for an outage; build the manager with a policy whose \
                           `outage` is `Stale`, too, or choose another one here";
            return Err(Error::new(ErrorKind::InvalidConfig, Operation::Read, message));
        }
        let opened = if self.policy.exclusive.is_some() && terms.access == Access::ReadWrite {
            // A caller who goes away must not leave a lock behind.
            let (core, ids) = (Arc::clone(self), ids.to_vec());
            self.shield(Box::pin(async move { core.open(&ids, terms).await })).await?
        } else {
            self.open(ids, terms).await?
        };
        self.observe(&Event::Loaded(opened.status));
        Ok(Session::new(Arc::clone(self), opened, !ids.is_empty()))
    }

    async fn open(self: &Arc<Self>, ids: &[SessionId], terms: Terms) -> Result<Opened> {
        let mut opened = match ids {
            [] => Opened::nothing(Status::New),
            [id] => self.claim(id, terms).await?,
            ids => boxed(self.agree(ids, terms)).await?,
        };
        if terms.access == Access::ReadOnly && opened.read_only.is_none() {
            opened.read_only = Some(ReadOnly::Asked);
        }
        Ok(opened)
    }

    /// Finds the one session that several ids lead to.
    async fn agree(self: &Arc<Self>, ids: &[SessionId], terms: Terms) -> Result<Opened> {
        let mut opened = Opened::nothing(Status::New);
        for (at, id) in ids.iter().enumerate().take(MAX_CANDIDATES) {
            if ids[..at].contains(id) {
                continue;
            }
            let next = self.claim(id, terms).await?;
            if next.status == Status::Degraded && next.current.is_none() {
                // It may be the client's own, and another one planted.
                return Ok(next);
            }
            match (&opened.current, &next.current) {
                // The same session, by its old id and by its new one.
                (Some(known), Some(same)) if known.key == same.key => {
                    opened = if next.read_only.is_none() { next } else { opened };
                }
                (Some(_), Some(_)) => {
                    // Two sessions claim the client: believing the first would let
                    // whoever can plant a cookie choose.
                    self.observe(&Event::Ambiguous);
                    return Ok(Opened::nothing(Status::Unknown));
                }
                (None, found) if found.is_some() || opened.endable.is_none() => opened = next,
                _ => {}
            }
        }
        Ok(opened)
    }

    /// Follows one id, as far as the store answers.
    async fn claim(self: &Arc<Self>, id: &SessionId, terms: Terms) -> Result<Opened> {
        match self.candidate(id, terms.access).await {
            Ok(opened) => Ok(opened),
            Err(err) => self.degrade(err, id, terms.outage),
        }
    }

    /// Looks one id up, under its lock if sessions are exclusive.
    async fn candidate(self: &Arc<Self>, id: &SessionId, access: Access) -> Result<Opened> {
        let key = SessionKey::of(id);
        let mut lock = match &self.policy.exclusive {
            Some(exclusive) if access == Access::ReadWrite => {
                Some(Box::new(boxed(self.lock(&key, exclusive)).await?))
            }
            _ => None,
        };
        let asked = self.stale.as_ref().map(StaleCache::era);
        let found = self.find(id, &key).await;
        if !matches!(found, Ok(Found::Live(_)))
            && let Some(lock) = lock.take()
        {
            boxed(lock.free()).await;
        }
        match found? {
            Found::Live(current) => {
                self.remember(&current, asked);
                let nothing = Opened::nothing(Status::Loaded);
                Ok(Opened { current: Some(current), lock, ..nothing })
            }
            Found::Pointer(pointer) => {
                self.unremember(&key);
                boxed(self.moved(id, pointer)).await
            }
            Found::Expired => {
                self.found_dead(&key);
                Ok(Opened::nothing(Status::Expired))
            }
            Found::Damaged => {
                self.found_dead(&key);
                Ok(unreadable(key))
            }
            Found::Nothing => {
                self.found_dead(&key);
                Ok(Opened::nothing(Status::Unknown))
            }
        }
    }

    /// What an old id gives: within the grace the data of the new one, to read;
    /// and in any case the right to end it.
    async fn moved(&self, id: &SessionId, mut pointer: Pointer) -> Result<Opened> {
        let mut opened = Opened::nothing(Status::Unknown);
        opened.endable = Some(pointer.target);
        for _ in 0..MAX_HOPS {
            if self.now() >= pointer.readable_until {
                break;
            }
            match self.find(id, &pointer.target).await? {
                Found::Live(current) => {
                    opened.status = Status::Loaded;
                    opened.current = Some(current);
                    opened.read_only = Some(ReadOnly::Moved);
                    break;
                }
                Found::Pointer(next) => pointer = next,
                Found::Expired | Found::Damaged | Found::Nothing => break,
            }
        }
        Ok(opened)
    }

    /// Reads what is under a key.
    pub(crate) async fn find(&self, id: &SessionId, key: &SessionKey) -> Result<Found> {
        let Some(stored) = self.read(key).await? else { return Ok(Found::Nothing) };
        let now = self.now();
        match self.parse(&stored.payload, key) {
            Ok(Frame::Pointer(pointer)) => Ok(Found::Pointer(pointer)),
            Ok(Frame::Session(table)) => {
                if table.meta.absolute.is_some_and(|absolute| absolute <= now) {
                    return Ok(Found::Expired);
                }
                let Stored { payload, version, remaining } = stored;
                Ok(Found::Live(Arc::new(Current {
                    id: id.clone(),
                    key: *key,
                    version,
                    record: Record::new(payload, table),
                    expires: remaining.map(|remaining| now.after(remaining)),
                })))
            }
            Err(err) => self.damaged(err),
        }
    }

    /// Parses what is under a key. Where it is a pointer, those who watch the
    /// session go on at its new key.
    pub(super) fn parse(&self, payload: &Bytes, key: &SessionKey) -> Result<Frame> {
        let frame = Frame::parse(payload, key)?;
        if let Frame::Pointer(pointer) = &frame {
            // Whoever moved it may have given it another owner, too.
            self.watchers.disowned(key);
            self.watchers.moved(key, &pointer.target);
        }
        Ok(frame)
    }

    /// Returns where a session has moved to, if a pointer lies under its key.
    pub(super) async fn moved_to(&self, key: &SessionKey) -> Result<Option<SessionKey>> {
        let Some(stored) = self.read(key).await? else { return Ok(None) };
        match self.parse(&stored.payload, key) {
            Ok(Frame::Pointer(pointer)) => Ok(Some(pointer.target)),
            Ok(Frame::Session(_)) | Err(_) => Ok(None),
        }
    }

    /// What a record that does not verify is taken for.
    fn damaged(&self, err: Error) -> Result<Found> {
        self.observe(&Event::Damaged(&err));
        match self.policy.damage {
            Damage::Absent => Ok(Found::Damaged),
            Damage::Fail => Err(err),
        }
    }

    /// What to do when the store cannot be read.
    fn degrade(&self, err: Error, id: &SessionId, outage: Outage) -> Result<Opened> {
        if err.kind() == ErrorKind::Corrupt {
            return self.damaged(err).map(|_| unreadable(SessionKey::of(id)));
        }
        if !err.kind().is_outage() {
            return Err(err);
        }
        let current = match (outage, &self.stale) {
            (Outage::Anonymous, _) => None,
            (Outage::Stale(max_age), Some(stale)) => {
                match stale.recall(&SessionKey::of(id), max_age, self.now()) {
                    Some(current) => Some(current),
                    None => return Err(err),
                }
            }
            _ => return Err(err),
        };
        self.observe(&Event::Degraded(&err));
        let endable = Some(SessionKey::of(id));
        let read_only = Some(ReadOnly::Degraded);
        Ok(Opened { current, endable, read_only, ..Opened::nothing(Status::Degraded) })
    }
}

/// What an id gives whose record does not verify: no session, and the right to
/// end it. A later version of this library may be able to read it.
fn unreadable(key: SessionKey) -> Opened {
    Opened { endable: Some(key), ..Opened::nothing(Status::Unknown) }
}
