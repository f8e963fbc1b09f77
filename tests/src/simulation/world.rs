//! One run of the simulation.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use session_core::{Clock, ManagerBuilder, MemoryHandler, Random, Result, SessionHandler};

use super::{Network, Scheduler, Weather};
use crate::history::checkers::{Report, Violation, check};
use crate::history::model::Tolerance;
use crate::history::{History, Recorder};
use crate::workload::{Direct, Drive, Habits, Known, Sleep, Subject, Table, final_reading};

/// How many workers there are.
const WORKERS: u32 = 4;
/// How many things each does.
const TURNS: u32 = 14;

/// What came of a seed.
#[derive(Debug)]
pub struct Outcome {
    /// What the checkers found.
    pub report: Report,
    /// How many calls to the store went wrong.
    pub faults: u64,
    /// What happened.
    pub history: History,
}

/// Draws ids by a seed.
#[derive(Debug)]
struct Seeded(Mutex<fastrand::Rng>);

impl Random for Seeded {
    fn fill(&self, buffer: &mut [u8]) -> Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill(buffer);
        Ok(())
    }
}

/// Puts something in front of a store.
pub type Wrap = dyn Fn(Arc<dyn SessionHandler>) -> Arc<dyn SessionHandler>;

/// What a simulation is made of.
#[derive(Clone)]
pub struct Parts {
    /// The store behind the network.
    pub store: Arc<dyn SessionHandler>,
    /// What each process has in front of the network.
    pub client: Arc<Wrap>,
    /// What each process makes of it.
    pub subject: Arc<dyn Fn(Direct) -> Arc<dyn Subject>>,
    /// What happens once, in the middle.
    pub event: Arc<dyn Fn() + Send + Sync>,
}

impl Parts {
    /// The memory engine, used as it should be.
    #[must_use]
    pub fn sound(scheduler: &Scheduler) -> Self {
        Self {
            store: Arc::new(MemoryHandler::new().with_clock(Arc::new(scheduler.clone()))),
            client: Arc::new(|network| network),
            subject: Arc::new(|direct| Arc::new(direct)),
            event: Arc::new(|| {}),
        }
    }
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("store", &self.store).finish_non_exhaustive()
    }
}

/// Runs the simulation of a seed on the memory engine, and checks it.
///
/// Two session managers, as of two processes, with two workers each.
#[must_use]
pub fn simulate(seed: u64) -> Outcome {
    simulate_with(seed, &Parts::sound)
}

/// Runs the simulation of a seed with other parts.
#[must_use]
pub fn simulate_with(seed: u64, parts: &dyn Fn(&Scheduler) -> Parts) -> Outcome {
    let scheduler = Scheduler::new(seed);
    let parts = parts(&scheduler);
    // Fair weather shows other mistakes than a storm, which ends histories early.
    let weather = if seed.is_multiple_of(4) { Weather::FAIR } else { Weather::STORM };
    let network = Network::new(Arc::clone(&parts.store), &scheduler, weather);
    let subjects = subjects(seed, &scheduler, &network, &parts);
    let moments = scheduler.clone();
    let recorder = Recorder::with_clock(move || moments.moment());
    let all: Arc<Mutex<Vec<Known>>> = Arc::default();
    let drive = drive(seed, &subjects, &recorder, &all);
    add_workers(&scheduler, &drive);
    add_event(&scheduler, parts.event);
    add_collector(&scheduler, Arc::clone(&subjects[0]));
    let mut stuck = scheduler.run();
    network.set(Weather::FAIR);
    let all = all.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let (reader, writer) = (Arc::clone(&subjects[1]), recorder.clone());
    scheduler.add(async move {
        for known in &all {
            final_reading(&*reader, &writer, WORKERS, known).await;
        }
    });
    stuck += scheduler.run();
    let history = History::of(recorder.take());
    Outcome { report: judge(&history, stuck), faults: network.faults(), history }
}

/// Makes the session managers of two processes.
fn subjects(
    seed: u64,
    scheduler: &Scheduler,
    network: &Network,
    parts: &Parts,
) -> Vec<Arc<dyn Subject>> {
    let equip = |random: u64| {
        let scheduler = scheduler.clone();
        move |builder: ManagerBuilder| {
            let random = Seeded(Mutex::new(fastrand::Rng::with_seed(random)));
            builder.clock(scheduler.clone()).runtime(scheduler.clone()).random(random)
        }
    };
    let subject = |process| {
        let handler = (parts.client)(Arc::new(network.clone()));
        let equip = equip((seed << 2) | process);
        (parts.subject)(Direct::with(&handler, Duration::from_secs(2), equip))
    };
    (0..2).map(subject).collect()
}

/// Makes the workers, which tell `all` what they know of.
fn drive(
    seed: u64,
    subjects: &[Arc<dyn Subject>],
    recorder: &Recorder,
    all: &Arc<Mutex<Vec<Known>>>,
) -> Drive {
    let habits = Habits::default();
    habits.cancels.store(30, Ordering::Relaxed);
    let told = Arc::clone(all);
    Drive {
        subjects: subjects.to_vec(),
        workers: WORKERS,
        first: 0,
        seed,
        recorder: recorder.clone(),
        table: Arc::new(Table::new(2, 40)),
        habits: Arc::new(habits),
        collect_every: Arc::default(),
        stop: Arc::default(),
        tell: Arc::new(move |known: &Known| {
            told.lock().unwrap_or_else(PoisonError::into_inner).push(known.clone());
        }),
    }
}

fn add_workers(scheduler: &Scheduler, drive: &Drive) {
    for at in 0..WORKERS {
        scheduler.add(drive.clone().turns(at, TURNS));
    }
    for at in 0..2 {
        scheduler.add(drive.clone().locks(at, 4, sleep(scheduler)));
    }
}

fn add_event(scheduler: &Scheduler, event: Arc<dyn Fn() + Send + Sync>) {
    let pauses = scheduler.clone();
    scheduler.add(async move {
        for _ in 0..100 + pauses.draw(400) {
            pauses.give_way().await;
        }
        event();
    });
}

fn add_collector(scheduler: &Scheduler, collector: Arc<dyn Subject>) {
    let pauses = scheduler.clone();
    scheduler.add(async move {
        for _ in 0..3 {
            for _ in 0..pauses.draw(100) {
                pauses.give_way().await;
            }
            drop(collector.collect().await);
        }
    });
}

/// Checks what happened, and that nobody was left waiting.
fn judge(history: &History, stuck: usize) -> Report {
    let mut report = check(history, Tolerance { lifetimes: 1_000_000, clocks_differ: false });
    if stuck > 0 {
        let what = format!("{stuck} tasks never come to their end");
        report.violations.push(Violation { checker: "stuck", lineage: 0, what });
    }
    report
}

/// Waits until the scheduler's clock says so.
fn sleep(scheduler: &Scheduler) -> Sleep {
    let scheduler = scheduler.clone();
    Arc::new(move |duration| {
        let scheduler = scheduler.clone();
        Box::pin(async move {
            let until = Clock::now(&scheduler).after(duration);
            while Clock::now(&scheduler) < until {
                scheduler.give_way().await;
            }
        })
    })
}
