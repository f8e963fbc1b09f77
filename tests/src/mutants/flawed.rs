//! A small store in memory that can have one flaw.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use session_core::{
    Bytes, Clock, Error, ErrorKind, FencingToken, GcReport, GcRequest, HandlerInfo, Operation,
    Result, SessionHandler, SessionKey, SessionLocker, Stored, Timestamp, Version, WriteMode,
    WriteOptions,
};

use crate::simulation::Scheduler;

static INFO: HandlerInfo = HandlerInfo::new("flawed");

/// What is wrong with the store. See [`Mutant`](super::Mutant).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the mutants of the same names say it")]
pub enum Flaw {
    Upsert,
    CheckThenSet,
    TouchRewrites,
    TouchShortens,
    DeadlineLater,
    CollectLater,
    UnlockWithoutToken,
    OneReplica,
}

#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) payload: Bytes,
    pub(super) version: u64,
    /// `None` for no end.
    pub(super) expires: Option<Timestamp>,
    pub(super) absolute: Timestamp,
    pub(super) pointer: bool,
}

impl Record {
    pub(super) fn new(
        payload: Bytes,
        version: u64,
        options: &WriteOptions,
        now: Timestamp,
    ) -> Self {
        Self {
            payload,
            version,
            expires: Some(now.after(options.lifetime())),
            absolute: options.absolute.map_or(Timestamp::MAX, |absolute| now.after(absolute)),
            pointer: options.pointer,
        }
    }

    pub(super) fn lives(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }

    pub(super) fn stored(&self, now: Timestamp) -> Stored {
        let stored = Stored::new(self.payload.clone(), Version::counter(self.version));
        match self.expires {
            Some(expires) => stored.with_remaining(expires.since(now)),
            None => stored,
        }
    }

    /// Returns the deadline after a touch: never earlier than before.
    pub(super) fn touched(&self, idle: Duration, now: Timestamp) -> Option<Timestamp> {
        let new = now.after(idle).min(self.absolute);
        self.expires.map(|expires| expires.max(new))
    }
}

/// Says whether a write may happen.
pub(super) fn allow(mode: &WriteMode, live: Option<&Record>) -> Result<()> {
    let refuse = |kind, operation| Err(Error::new(kind, operation, "refused"));
    match (mode, live) {
        (WriteMode::Create, Some(_)) => refuse(ErrorKind::AlreadyExists, Operation::Create),
        (WriteMode::Create, None) | (WriteMode::Replace, Some(_)) => Ok(()),
        (WriteMode::Replace | WriteMode::IfVersion(_), None) => {
            refuse(ErrorKind::Gone, Operation::Write)
        }
        (WriteMode::IfVersion(wanted), Some(record)) => {
            if wanted.as_counter() == Some(record.version) {
                return Ok(());
            }
            refuse(ErrorKind::Conflict, Operation::Write)
        }
    }
}

#[derive(Debug, Default)]
struct State {
    records: BTreeMap<SessionKey, Record>,
    replica: BTreeMap<SessionKey, Record>,
    locks: BTreeMap<SessionKey, (u64, Timestamp)>,
    sequence: u64,
}

impl State {
    fn next(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }
}

/// A small store in memory that can have one flaw. Clones are the same.
#[derive(Clone, Debug)]
pub struct Flawed {
    state: Arc<Mutex<State>>,
    scheduler: Scheduler,
    flaw: Option<Flaw>,
}

impl Flawed {
    /// Makes an empty store.
    #[must_use]
    pub fn new(scheduler: &Scheduler, flaw: Option<Flaw>) -> Self {
        Self { state: Arc::default(), scheduler: scheduler.clone(), flaw }
    }

    /// Loses the primary. The replica takes its place, with what it has got.
    pub fn fail_over(&self) {
        if self.flaw == Some(Flaw::OneReplica) {
            let mut state = self.state();
            state.records = state.replica.clone();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        Clock::now(&self.scheduler)
    }

    async fn pause(&self) {
        for _ in 0..=self.scheduler.draw(8) {
            self.scheduler.give_way().await;
        }
    }

    /// Lets the replica have what the primary has, later.
    fn replicate(&self) {
        let store = self.clone();
        if self.flaw == Some(Flaw::OneReplica) {
            self.scheduler.add(async move {
                store.pause().await;
                let mut state = store.state();
                state.replica = state.records.clone();
            });
        }
    }
}

#[async_trait]
impl SessionHandler for Flawed {
    fn info(&self) -> &HandlerInfo {
        &INFO
    }

    async fn read(&self, key: &SessionKey) -> Result<Option<Stored>> {
        let now = self.now();
        let state = self.state();
        Ok(state.records.get(key).filter(|record| record.lives(now)).map(|r| r.stored(now)))
    }

    async fn write(
        &self,
        key: &SessionKey,
        payload: Bytes,
        options: &WriteOptions,
    ) -> Result<Version> {
        let check = |state: &State| {
            let now = self.now();
            allow(&options.mode, state.records.get(key).filter(|record| record.lives(now)))
        };
        let put = |state: &mut State| {
            let version = state.next();
            let mut record = Record::new(payload.clone(), version, options, self.now());
            let expires = record.expires;
            if self.flaw == Some(Flaw::DeadlineLater) {
                record.expires = None;
            }
            state.records.insert(*key, record);
            (version, expires)
        };
        if self.flaw == Some(Flaw::CheckThenSet) && options.mode != WriteMode::Create {
            check(&self.state())?;
            self.pause().await;
            let (version, _) = put(&mut self.state());
            return Ok(Version::counter(version));
        }
        let (version, expires) = {
            let mut state = self.state();
            match check(&state) {
                Err(err) if err.kind() == ErrorKind::Gone && self.flaw == Some(Flaw::Upsert) => {}
                checked => checked?,
            }
            put(&mut state)
        };
        if self.flaw == Some(Flaw::DeadlineLater) {
            self.pause().await;
            if let Some(record) = self.state().records.get_mut(key) {
                record.expires = expires;
            }
        }
        self.replicate();
        Ok(Version::counter(version))
    }

    async fn touch(&self, key: &SessionKey, idle: Duration) -> Result<bool> {
        let now = self.now();
        let session = |record: &&mut Record| record.lives(now) && !record.pointer;
        let copy = {
            let mut state = self.state();
            let Some(record) = state.records.get_mut(key).filter(session) else { return Ok(false) };
            match self.flaw {
                Some(Flaw::TouchRewrites) => {
                    Record { expires: record.touched(idle, now), ..record.clone() }
                }
                Some(Flaw::TouchShortens) => {
                    record.expires = Some(now.after(idle).min(record.absolute));
                    return Ok(true);
                }
                _ => {
                    record.expires = record.touched(idle, now);
                    drop(state);
                    self.replicate();
                    return Ok(true);
                }
            }
        };
        self.pause().await;
        self.state().records.insert(*key, copy);
        Ok(true)
    }

    async fn destroy(&self, key: &SessionKey, only_at: Option<&Version>) -> Result<bool> {
        let now = self.now();
        let lived = {
            let mut state = self.state();
            let live = state.records.get(key).filter(|record| record.lives(now));
            if let (Some(record), Some(at)) = (live, only_at)
                && at.as_counter() != Some(record.version)
            {
                return Err(Error::new(ErrorKind::Conflict, Operation::Destroy, "refused"));
            }
            let lived = live.is_some();
            if lived {
                state.records.remove(key);
            }
            lived
        };
        self.replicate();
        Ok(lived)
    }

    async fn gc(&self, _: &GcRequest) -> Result<GcReport> {
        let seen: Vec<_> = {
            let state = self.state();
            state.records.iter().map(|(key, record)| (*key, record.expires)).collect()
        };
        if self.flaw == Some(Flaw::CollectLater) {
            // As long as a walk over many records takes.
            for _ in 0..10 {
                self.pause().await;
            }
            let now = self.now();
            for (key, expires) in seen {
                if expires.is_some_and(|expires| expires <= now) {
                    self.state().records.remove(&key);
                }
            }
            return Ok(GcReport::default());
        }
        let now = self.now();
        self.state().records.retain(|_, record| record.lives(now));
        Ok(GcReport::default())
    }

    fn locker(&self) -> Option<&dyn SessionLocker> {
        Some(self)
    }
}

#[async_trait]
impl SessionLocker for Flawed {
    async fn try_lock(&self, key: &SessionKey, lease: Duration) -> Result<Option<FencingToken>> {
        let now = self.now();
        let mut state = self.state();
        if state.locks.get(key).is_some_and(|(_, until)| now < *until) {
            return Ok(None);
        }
        let token = state.next();
        state.locks.insert(*key, (token, now.after(lease)));
        Ok(Some(FencingToken(token)))
    }

    async fn renew(&self, key: &SessionKey, token: FencingToken, lease: Duration) -> Result<bool> {
        let now = self.now();
        let mut state = self.state();
        let held = state.locks.get_mut(key).filter(|(holder, _)| *holder == token.0);
        Ok(held.map(|(_, until)| *until = now.after(lease)).is_some())
    }

    async fn unlock(&self, key: &SessionKey, token: FencingToken) -> Result<bool> {
        let mut state = self.state();
        let held = state.locks.get(key).is_some_and(|(holder, _)| *holder == token.0);
        let frees = held || self.flaw == Some(Flaw::UnlockWithoutToken);
        Ok(frees && state.locks.remove(key).is_some())
    }
}
