//! Stores and applications with one mistake each, all of them seen in the wild.
//!
//! A test that cannot fail proves nothing: each of these must be caught. They
//! run in the simulation, so that a seed shows the mistake again.

mod careless;
mod connection;
mod disk;
mod flawed;
mod retry;

use std::sync::Arc;
use std::time::{Duration, Instant};

use session_core::SessionHandler;

pub use self::careless::{Careless, Carelessness};
pub use self::connection::Connection;
pub use self::disk::{Disk, Sync};
pub use self::flawed::{Flaw, Flawed};
pub use self::retry::Retry;
use crate::history::checkers::Violation;
use crate::simulation::{Parts, Scheduler, simulate_with};
use crate::workload::{Direct, Subject};

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// A save creates what is missing.
    UpsertSave,
    /// A save looks first and writes later.
    CheckThenSet,
    /// A save of a session that has ended stores it under a new id.
    SaveUnderNewId,
    /// A change of id ends the old session before the new one is there.
    DeleteBeforeCreate,
    /// A touch reads the record and writes it back.
    TouchRewrites,
    /// A touch sets the deadline even if that brings it forward.
    TouchShortens,
    /// The deadline is set by a second command.
    DeadlineLater,
    /// Garbage collection removes what it has seen a while ago.
    CollectLater,
    /// The content of a file is not flushed before it gets its name.
    NoFileSync,
    /// The directory is not flushed after a name has changed.
    NoDirectorySync,
    /// A store that fails is taken for one that is empty.
    ErrorIsEmpty,
    /// What may have happened is done again, whatever was written meanwhile.
    BlindRetry,
    /// Whoever asks frees the lock.
    UnlockWithoutToken,
    /// Ids match without regard to case.
    FoldsCase,
    /// A write is acknowledged before the replica has it.
    OneReplica,
    /// The answer to a call that was dropped goes to the next.
    DesyncAfterCancel,
}

/// How a mistake was caught.
#[derive(Clone, Debug)]
pub struct Caught {
    /// By this seed.
    pub seed: u64,
    /// After so many seeds.
    pub seeds: u64,
    /// After so many operations.
    pub operations: usize,
    /// After so long.
    pub after: Duration,
    /// All that was wrong with that seed.
    pub violations: Vec<Violation>,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::UpsertSave,
        Self::CheckThenSet,
        Self::SaveUnderNewId,
        Self::DeleteBeforeCreate,
        Self::TouchRewrites,
        Self::TouchShortens,
        Self::DeadlineLater,
        Self::CollectLater,
        Self::NoFileSync,
        Self::NoDirectorySync,
        Self::ErrorIsEmpty,
        Self::BlindRetry,
        Self::UnlockWithoutToken,
        Self::FoldsCase,
        Self::OneReplica,
        Self::DesyncAfterCancel,
    ];

    /// Simulates a seed with the mistake.
    #[must_use]
    pub fn simulate(self, seed: u64) -> crate::simulation::Outcome {
        simulate_with(seed, &|scheduler| self.parts(scheduler))
    }

    /// Tries seeds from `first` on until one of them shows the mistake, or
    /// `most` have not.
    #[must_use]
    pub fn hunt(self, first: u64, most: u64) -> Option<Caught> {
        let begin = Instant::now();
        let mut operations = 0;
        for seed in first..first + most {
            let report = self.simulate(seed).report;
            operations += report.operations;
            if !report.violations.is_empty() {
                let (seeds, after) = (seed - first + 1, begin.elapsed());
                let violations = report.violations;
                return Some(Caught { seed, seeds, operations, after, violations });
            }
        }
        None
    }

    fn parts(self, scheduler: &Scheduler) -> Parts {
        let parts = Parts::sound(scheduler);
        let flawed = |flaw| {
            let store = Flawed::new(scheduler, Some(flaw));
            let events = store.clone();
            Parts {
                store: Arc::new(store),
                event: Arc::new(move || events.fail_over()),
                ..Parts::sound(scheduler)
            }
        };
        let disk = |sync| {
            let disk = Disk::new(scheduler, sync);
            let events = disk.clone();
            Parts {
                store: Arc::new(disk),
                event: Arc::new(move || events.lose_power()),
                ..Parts::sound(scheduler)
            }
        };
        let careless = |carelessness| {
            let pause = scheduler.clone();
            let subject = move |direct: Direct| -> Arc<dyn Subject> {
                Arc::new(Careless::new(direct, carelessness, pause.clone()))
            };
            Parts { subject: Arc::new(subject), ..Parts::sound(scheduler) }
        };
        match self {
            Self::UpsertSave => flawed(Flaw::Upsert),
            Self::CheckThenSet => flawed(Flaw::CheckThenSet),
            Self::TouchRewrites => flawed(Flaw::TouchRewrites),
            Self::TouchShortens => flawed(Flaw::TouchShortens),
            Self::DeadlineLater => flawed(Flaw::DeadlineLater),
            Self::CollectLater => flawed(Flaw::CollectLater),
            Self::UnlockWithoutToken => flawed(Flaw::UnlockWithoutToken),
            Self::OneReplica => flawed(Flaw::OneReplica),
            Self::NoFileSync => disk(Sync { files: false, directories: true }),
            Self::NoDirectorySync => disk(Sync { files: true, directories: false }),
            Self::SaveUnderNewId => careless(Carelessness::SaveUnderNewId),
            Self::DeleteBeforeCreate => careless(Carelessness::DeleteBeforeCreate),
            Self::ErrorIsEmpty => careless(Carelessness::ErrorIsEmpty),
            Self::FoldsCase => careless(Carelessness::FoldsCase),
            Self::BlindRetry => {
                let client = |handler| Arc::new(Retry(handler)) as Arc<dyn SessionHandler>;
                Parts { client: Arc::new(client), ..parts }
            }
            Self::DesyncAfterCancel => {
                let scheduler = scheduler.clone();
                let client = move |handler| {
                    Arc::new(Connection::new(handler, scheduler.clone())) as Arc<dyn SessionHandler>
                };
                Parts { client: Arc::new(client), ..parts }
            }
        }
    }
}

/// Returns the parts of the simulation on which the mutants stand, without a
/// mistake: nothing may be found with them.
#[must_use]
pub fn flawless(scheduler: &Scheduler, on_disk: bool) -> Parts {
    if on_disk {
        let disk = Disk::new(scheduler, Sync { files: true, directories: true });
        let events = disk.clone();
        let event = Arc::new(move || events.lose_power());
        return Parts { store: Arc::new(disk), event, ..Parts::sound(scheduler) };
    }
    Parts { store: Arc::new(Flawed::new(scheduler, None)), ..Parts::sound(scheduler) }
}
