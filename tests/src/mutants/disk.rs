//! A store of one file per session, on a disk that can lose its power.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use session_core::{
    Bytes, Clock, Error, ErrorKind, GcReport, GcRequest, HandlerInfo, Operation, Result,
    SessionHandler, SessionKey, Stored, Timestamp, Version, WriteOptions,
};

use super::flawed::{Record, allow};
use crate::simulation::Scheduler;

static INFO: HandlerInfo = HandlerInfo::new("disk");

/// What is flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sync {
    /// The content of a file, before it gets its name.
    pub files: bool,
    /// A directory, after a name in it has changed.
    pub directories: bool,
}

/// A file: what a reader sees, and what is left after a power cut.
#[derive(Clone, Debug)]
struct File {
    seen: Option<Record>,
    safe: Option<Record>,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<u64, File>,
    /// Names, as a reader sees them, and as they are after a power cut.
    seen: BTreeMap<SessionKey, u64>,
    safe: BTreeMap<SessionKey, u64>,
    sequence: u64,
    /// Counts power cuts.
    life: u64,
}

/// A store of one file per session: a write makes a file, flushes it, gives it
/// its name, and flushes the directory. Clones are the same.
///
/// Nothing that was not flushed survives a power cut, and a file whose content
/// was not is empty.
#[derive(Clone, Debug)]
pub struct Disk {
    state: Arc<Mutex<State>>,
    /// One change at a time.
    writing: Arc<tokio::sync::Mutex<()>>,
    scheduler: Scheduler,
    sync: Sync,
}

impl Disk {
    /// Makes an empty disk.
    #[must_use]
    pub fn new(scheduler: &Scheduler, sync: Sync) -> Self {
        let (state, writing) = (Arc::default(), Arc::default());
        Self { state, writing, scheduler: scheduler.clone(), sync }
    }

    /// Cuts the power and turns it on again. Calls that are under way fail.
    pub fn lose_power(&self) {
        let mut state = self.state();
        state.life += 1;
        state.seen = state.safe.clone();
        for file in state.files.values_mut() {
            file.seen = file.safe.clone();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        Clock::now(&self.scheduler)
    }

    /// Goes on with a call after a while, unless the power went meanwhile.
    async fn step(&self, operation: Operation, life: u64) -> Result<MutexGuard<'_, State>> {
        self.scheduler.give_way().await;
        let state = self.state();
        if state.life != life {
            let err = Error::new(ErrorKind::Unavailable, operation, "the power went");
            return Err(err.with_indeterminate(true));
        }
        Ok(state)
    }

    fn live(&self, state: &State, key: &SessionKey) -> Option<Record> {
        let now = self.now();
        let record = state.files.get(state.seen.get(key)?)?.seen.clone()?;
        record.lives(now).then_some(record)
    }
}

#[async_trait]
impl SessionHandler for Disk {
    fn info(&self) -> &HandlerInfo {
        &INFO
    }

    /// Waits for a change under way. On a real disk a reader may see what is not
    /// flushed yet, and a power cut then takes it back, though nobody was told
    /// that it was stored.
    async fn read(&self, key: &SessionKey) -> Result<Option<Stored>> {
        let _writing = self.writing.lock().await;
        Ok(self.live(&self.state(), key).map(|record| record.stored(self.now())))
    }

    async fn write(
        &self,
        key: &SessionKey,
        payload: Bytes,
        options: &WriteOptions,
    ) -> Result<Version> {
        let op = Operation::Write;
        let _writing = self.writing.lock().await;
        let (life, file, version) = {
            let mut state = self.state();
            allow(&options.mode, self.live(&state, key).as_ref())?;
            state.sequence += 1;
            let version = state.sequence;
            let record = Record::new(payload, version, options, self.now());
            state.files.insert(version, File { seen: Some(record), safe: None });
            (state.life, version, version)
        };
        if self.sync.files {
            let mut state = self.step(op, life).await?;
            if let Some(file) = state.files.get_mut(&file) {
                file.safe.clone_from(&file.seen);
            }
        }
        self.step(op, life).await?.seen.insert(*key, file);
        if self.sync.directories {
            let mut state = self.step(op, life).await?;
            state.safe = state.seen.clone();
        } else if self.sync.files {
            // A file system writes names out by itself, sooner or later.
            self.write_out_later(life);
        }
        if !self.sync.files {
            self.write_out_later(life);
        }
        Ok(Version::counter(version))
    }

    async fn touch(&self, key: &SessionKey, idle: Duration) -> Result<bool> {
        let _writing = self.writing.lock().await;
        let now = self.now();
        let mut state = self.state();
        let Some(record) = self.live(&state, key).filter(|record| !record.pointer) else {
            return Ok(false);
        };
        let record = Record { expires: record.touched(idle, now), ..record };
        if let Some(number) = state.seen.get(key).copied()
            && let Some(file) = state.files.get_mut(&number)
        {
            // In place, within one sector, and flushed where files are.
            if self.sync.files {
                file.safe = Some(record.clone());
            }
            file.seen = Some(record);
        }
        Ok(true)
    }

    async fn destroy(&self, key: &SessionKey, only_at: Option<&Version>) -> Result<bool> {
        let op = Operation::Destroy;
        let _writing = self.writing.lock().await;
        let (life, lived) = {
            let mut state = self.state();
            let live = self.live(&state, key);
            if let (Some(record), Some(at)) = (&live, only_at)
                && at.as_counter() != Some(record.version)
            {
                return Err(Error::new(ErrorKind::Conflict, op, "refused"));
            }
            state.seen.remove(key);
            (state.life, live.is_some())
        };
        if self.sync.directories {
            let mut state = self.step(op, life).await?;
            state.safe = state.seen.clone();
        } else {
            self.write_out_later(life);
        }
        Ok(lived)
    }

    async fn gc(&self, _: &GcRequest) -> Result<GcReport> {
        let _writing = self.writing.lock().await;
        let now = self.now();
        let State { files, seen, .. } = &mut *self.state();
        seen.retain(|_, number| {
            files.get(number).and_then(|f| f.seen.as_ref()).is_some_and(|record| record.lives(now))
        });
        Ok(GcReport::default())
    }
}

impl Disk {
    /// Flushes everything after a while, as systems do of themselves.
    fn write_out_later(&self, life: u64) {
        let disk = self.clone();
        self.scheduler.add(async move {
            for _ in 0..40 + disk.scheduler.draw(40) {
                disk.scheduler.give_way().await;
            }
            let mut state = disk.state();
            if state.life == life {
                state.safe = state.seen.clone();
                for file in state.files.values_mut() {
                    file.safe.clone_from(&file.seen);
                }
            }
        });
    }
}
