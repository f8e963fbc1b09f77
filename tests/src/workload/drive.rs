//! Runs workers for a while.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use session_core::SessionKey;
use tokio::task::JoinSet;

use super::hand::end;
use super::locksmith::{Locksmith, Sleep};
use super::subject::{Manner, Subject};
use super::table::{Known, Table};
use super::worker::{Habits, Worker};
use crate::history::{Answer, Call, End, Recorder};

/// How many of a process fight for locks, besides the workers.
const LOCKSMITHS: u32 = 3;

/// The workers of one process.
#[derive(Clone)]
pub struct Drive {
    /// What each worker uses, in turn.
    pub subjects: Vec<Arc<dyn Subject>>,
    /// How many there are.
    pub workers: u32,
    /// The number of the first.
    pub first: u32,
    /// What they draw by.
    pub seed: u64,
    /// Where they write.
    pub recorder: Recorder,
    /// The sessions they know of.
    pub table: Arc<Table>,
    /// What they do besides the usual.
    pub habits: Arc<Habits>,
    /// Milliseconds between two collections; 0 for none.
    pub collect_every: Arc<AtomicU64>,
    /// Turns true when they shall stop.
    pub stop: Arc<AtomicBool>,
    /// Whom they tell about new ids.
    pub tell: Arc<dyn Fn(&Known) + Send + Sync>,
}

impl fmt::Debug for Drive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drive").field("subjects", &self.subjects).finish_non_exhaustive()
    }
}

impl Drive {
    /// Makes one of the workers.
    fn worker(&self, at: u32) -> Worker {
        let number = self.first + at;
        Worker {
            number,
            subject: Arc::clone(&self.subjects[at as usize % self.subjects.len()]),
            recorder: self.recorder.clone(),
            table: Arc::clone(&self.table),
            habits: Arc::clone(&self.habits),
            random: fastrand::Rng::with_seed(self.seed ^ (u64::from(number) << 40)),
            tell: Arc::clone(&self.tell),
            hands: Vec::new(),
        }
    }

    /// Lets one worker do so many things, without any help of a runtime.
    pub async fn turns(self, worker: u32, turns: u32) {
        let mut worker = self.worker(worker);
        for _ in 0..turns {
            worker.work().await;
        }
    }

    fn locksmith(&self, at: u32, sleep: Sleep) -> Locksmith {
        let number = self.first + self.workers + at;
        Locksmith {
            number,
            subject: Arc::clone(&self.subjects[at as usize % self.subjects.len()]),
            recorder: self.recorder.clone(),
            random: fastrand::Rng::with_seed(self.seed ^ (u64::from(number) << 40)),
            sleep,
        }
    }

    /// Lets one take and free locks so many times, without any help of a runtime.
    pub async fn locks(self, at: u32, times: u32, sleep: Sleep) {
        let mut locksmith = self.locksmith(at, sleep);
        for _ in 0..times {
            locksmith.work().await;
        }
    }

    /// Asks for one of the sessions until there is an answer, or none for 40 seconds: a
    /// process that lives to the end of a run shows that the store works for it.
    pub async fn last_words(&self) {
        let mut random = fastrand::Rng::with_seed(self.seed);
        if let Some(known) = self.table.pick(&mut random) {
            let worker = self.first + self.workers + LOCKSMITHS + 1;
            final_readings(&*self.subjects[0], &self.recorder, worker, &[known]).await;
        }
    }

    /// Lets the workers work until they shall stop.
    pub async fn run(self) {
        let mut tasks = JoinSet::new();
        for at in 0..self.workers {
            let mut worker = self.worker(at);
            let stop = Arc::clone(&self.stop);
            tasks.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    worker.work().await;
                    tokio::task::yield_now().await;
                }
            });
        }
        for at in 0..LOCKSMITHS {
            let sleep: Sleep = Arc::new(|duration| Box::pin(tokio::time::sleep(duration)));
            let mut locksmith = self.locksmith(at, sleep);
            let stop = Arc::clone(&self.stop);
            tasks.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    locksmith.work().await;
                }
            });
        }
        let collector = self.first + self.workers + LOCKSMITHS;
        let subject = Arc::clone(&self.subjects[0]);
        tasks.spawn(async move {
            while !self.stop.load(Ordering::Relaxed) {
                let every = self.collect_every.load(Ordering::Relaxed);
                if every > 0 {
                    let pending = self.recorder.invoke(collector, 0, Call::Collect);
                    let ended = match subject.collect().await {
                        Ok(()) => End::Ok(Answer::Done),
                        Err(err) => end(&err),
                    };
                    self.recorder.end(pending, ended);
                }
                tokio::time::sleep(Duration::from_millis(every.max(1))).await;
            }
        });
        while let Some(done) = tasks.join_next().await {
            done.expect("no worker panics");
        }
    }
}

/// How long a reader at the end goes on asking without any answer.
const PATIENCE: Duration = Duration::from_secs(40);

/// The rest before it asks again.
const REST: Duration = Duration::from_millis(100);

/// How many sessions there were to be read at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readings {
    /// Of which the store has said what they are, by each of their ids.
    pub read: usize,
    /// Of which it has not.
    pub unread: usize,
}

/// Reads every session once more, by all its ids: what was acknowledged must be there.
/// What is not answered is asked for again, until there was no answer for 40 seconds.
pub async fn final_readings(
    subject: &dyn Subject,
    recorder: &Recorder,
    worker: u32,
    all: &[Known],
) -> Readings {
    let mut unread: BTreeMap<u64, usize> = BTreeMap::new();
    for known in all {
        *unread.entry(known.lineage).or_default() += 1;
    }
    let sessions = unread.len();
    let mut answered = Instant::now();
    'all: for known in all {
        while !final_reading(subject, recorder, worker, known).await {
            if answered.elapsed() > PATIENCE {
                break 'all;
            }
            tokio::time::sleep(REST).await;
        }
        answered = Instant::now();
        unread.entry(known.lineage).and_modify(|ids| *ids -= 1);
    }
    let unread = unread.values().filter(|ids| **ids > 0).count();
    Readings { read: sessions - unread, unread }
}

/// Reads a session by one of its ids. Returns whether there was an answer.
pub async fn final_reading(
    subject: &dyn Subject,
    recorder: &Recorder,
    worker: u32,
    known: &Known,
) -> bool {
    let id = SessionKey::of(&known.id).handle();
    let pending = recorder.invoke(worker, known.lineage, Call::Load { id });
    let ended = match subject.load(&known.id, Manner::Merge).await {
        Ok(Some(held)) => End::Ok(Answer::Found(held.data())),
        Ok(None) => End::Ok(Answer::Gone),
        Err(err) => end(&err),
    };
    let answered = matches!(ended, End::Ok(_));
    recorder.end(pending, ended);
    answered
}
