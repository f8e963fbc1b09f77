//! The workers of one process, told by its standard input what breaks.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use session_core::testkit::Chaos;
use session_core::{ErrorKind, MemoryFactory, Operation, SessionHandler, SessionId};
use session_file::FileFactory;
use session_http::registry;
use session_redis::RedisFactory;
use session_tests::history::{Recorder, WORKER_BITS};
use session_tests::workload::{Direct, Drive, Habits, Known, Subject, Table};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio::sync::mpsc;

use crate::Failure;
use crate::clock::{SKEW, SkewedClock};
use crate::options::Options;

/// Milliseconds between two collections.
const COLLECT_EVERY: u64 = 25;
/// Sessions in use at a time.
const WINDOW: usize = 10;
/// Calls by each process on a session.
const USES: u32 = 50;

/// What can go wrong inside of a process.
pub(crate) const NEMESES: [&str; 4] = ["calls", "cancel", "collect", "clock"];

/// The operations of the store that go wrong.
const CALLS: [Operation; 5] =
    [Operation::Read, Operation::Create, Operation::Write, Operation::Touch, Operation::Destroy];

/// How long a process that starts while things are broken waits for the server.
const PATIENCE: Duration = Duration::from_secs(60);

/// The workers of this process and what can be done to them.
pub(crate) struct Here {
    pub(crate) drive: Drive,
    pub(crate) direct: Direct,
    chaos: Chaos,
    clock: SkewedClock,
}

impl Here {
    /// Opens the store. `process` is a number that no other process of the run has.
    pub(crate) async fn open(
        options: &Options,
        uri: &str,
        process: u32,
        recorder: Recorder,
        tell: Arc<dyn Fn(&Known) + Send + Sync>,
    ) -> Result<Self, Failure> {
        let clock = SkewedClock::default();
        let chaos = Chaos::new(connect(uri, &clock).await?);
        let deadline = Duration::from_millis(options.deadline);
        let direct = Direct::new(chaos.clone(), deadline);
        let drive = drive(options, process, Arc::new(direct.clone()), recorder, tell);
        Ok(Self { drive, direct, chaos, clock })
    }

    /// Lets something go wrong in this process.
    pub(crate) fn disturb(&self, name: &str, random: &mut fastrand::Rng) {
        match name {
            "calls" => {
                for operation in CALLS {
                    match random.u8(..4) {
                        0 => self.chaos.fail(operation, ErrorKind::Unavailable),
                        1 => self.chaos.lose_reply(operation),
                        2 => self.chaos.delay(operation, Duration::from_millis(random.u64(1..20))),
                        _ => {}
                    }
                }
            }
            "clock" => self.clock.set(random.i64(-SKEW..=SKEW)),
            _ => hinder(&self.drive, name),
        }
    }

    /// Puts everything right in this process.
    pub(crate) fn calm(&self) {
        self.chaos.heal();
        self.clock.set(0);
        relieve(&self.drive);
    }
}

/// Makes the workers of a process. `process` is a number that no other has.
pub(crate) fn drive(
    options: &Options,
    process: u32,
    subject: Arc<dyn Subject>,
    recorder: Recorder,
    tell: Arc<dyn Fn(&Known) + Send + Sync>,
) -> Drive {
    let habits = Habits::default();
    habits.rests.store(30, Ordering::Relaxed);
    Drive {
        subjects: vec![subject],
        workers: options.workers,
        first: process << WORKER_BITS,
        seed: options.seed,
        recorder,
        table: Arc::new(Table::new(WINDOW, USES)),
        habits: Arc::new(habits),
        collect_every: Arc::new(COLLECT_EVERY.into()),
        stop: Arc::default(),
        tell,
    }
}

/// Lets something go wrong with workers.
pub(crate) fn hinder(drive: &Drive, name: &str) {
    match name {
        "cancel" => drive.habits.cancels.store(200, Ordering::Relaxed),
        "collect" => drive.collect_every.store(1, Ordering::Relaxed),
        _ => {}
    }
}

/// Lets workers work as usual.
pub(crate) fn relieve(drive: &Drive) {
    drive.habits.cancels.store(0, Ordering::Relaxed);
    drive.collect_every.store(COLLECT_EVERY, Ordering::Relaxed);
}

/// Writes a session for another process. Through pipes only: it holds the secret.
pub(crate) fn to_text(known: &Known) -> String {
    format!("id {} {} {}", known.lineage, known.idle, known.id.expose())
}

/// Reads what [`to_text`] wrote.
pub(crate) fn from_text(line: &str) -> Option<Known> {
    let mut words = line.strip_prefix("id ")?.split(' ');
    let (lineage, idle) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some(Known { lineage, idle, id: SessionId::parse(words.next()?).ok()? })
}

/// Runs a child: the store's URI comes first on its input.
pub(crate) async fn run(options: &Options) -> Result<(), Failure> {
    let process = options.child.unwrap_or_default();
    let mut lines = BufReader::new(stdin()).lines();
    let uri = lines.next_line().await?.ok_or("no URI")?;
    let path = history_file(options, process);
    let recorder = Recorder::to_file(&path, process)?;
    let (sender, mut told) = mpsc::unbounded_channel::<String>();
    let tell = Arc::new(move |known: &Known| drop(sender.send(to_text(known))));
    let here = Here::open(options, &uri, process, recorder, tell).await?;
    let mut random = fastrand::Rng::with_seed(options.seed ^ u64::from(process));
    println!("ready");
    let mut workers = tokio::spawn(here.drive.clone().run());
    loop {
        tokio::select! {
            Some(line) = told.recv() => println!("{line}"),
            line = lines.next_line() => match line? {
                Some(line) => match line.split_once(' ') {
                    Some(("fault", name)) => here.disturb(name, &mut random),
                    Some(("id", _)) => {
                        if let Some(known) = from_text(&line) {
                            here.drive.table.learn(&known);
                        }
                    }
                    _ if line == "heal" => here.calm(),
                    _ => here.drive.stop.store(true, Ordering::Relaxed),
                },
                // The parent has gone.
                None => return Ok(()),
            },
            done = &mut workers => {
                done?;
                while let Ok(line) = told.try_recv() {
                    println!("{line}");
                }
                // What was dropped unfinished may still be at work.
                tokio::time::sleep(Duration::from_millis(200)).await;
                here.drive.last_words().await;
                println!("done");
                return Ok(());
            }
        }
    }
}

/// Returns where a process writes its history.
pub(crate) fn history_file(options: &Options, process: u32) -> PathBuf {
    options.keep.clone().unwrap_or_default().join(format!("{process}.jsonl"))
}

/// Opens a store, as soon as its server is there.
async fn connect(uri: &str, clock: &SkewedClock) -> Result<Arc<dyn SessionHandler>, Failure> {
    let begin = Instant::now();
    // The other engines ask their server for the time.
    let registry = registry()
        .with(MemoryFactory::new().with_clock(clock.shared()))
        .with(FileFactory::new().with_clock(clock.shared()))
        .with(RedisFactory::new().with_clock(clock.shared()));
    loop {
        match registry.connect(uri).await {
            Ok(store) => return Ok(store),
            Err(err)
                if begin.elapsed() < PATIENCE
                    && matches!(err.kind(), ErrorKind::Unavailable | ErrorKind::Timeout) =>
            {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(err) => return Err(err.into()),
        }
    }
}
