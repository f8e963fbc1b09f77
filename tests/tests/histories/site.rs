//! The checkers on what visitors of an application see.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use session_tests::Probe;
use session_tests::history::checkers::check;
use session_tests::history::model::Tolerance;
use session_tests::history::{History, Recorder};
use session_tests::workload::{Drive, Habits, Life, Site, Table, final_readings};
use tempfile::tempdir;

/// How long a mistake is looked for.
const LONGEST: Duration = Duration::from_secs(60);

/// Lets visitors use an application of two processes on one store for a while,
/// and returns which checkers found something, and how much was answered.
async fn visit(seed: u64, args: &str) -> (Vec<&'static str>, usize) {
    let folder = tempdir().unwrap();
    let store = format!("file://{}/s?session.durability=process", folder.path().display());
    let idle = Life::IDLE.as_secs().to_string();
    let args: Vec<_> =
        ["--store", &store, "--idle", &idle].into_iter().chain(args.split_whitespace()).collect();
    let probes: Vec<_> =
        (0..2).map(|_| Probe::start(env!("CARGO_BIN_EXE_probe"), &args).unwrap()).collect();
    let addresses = probes.iter().map(Probe::address).collect();
    let site = Site::new(addresses, seed, Duration::from_secs(20));
    let recorder = Recorder::in_memory();
    let all = Arc::new(std::sync::Mutex::new(Vec::new()));
    let told = Arc::clone(&all);
    let drive = Drive {
        subjects: vec![Arc::new(site.clone())],
        workers: 4,
        first: 0,
        seed,
        recorder: recorder.clone(),
        table: Arc::new(Table::new(2, 50)),
        habits: Arc::new(Habits::default()),
        collect_every: Arc::default(),
        stop: Arc::default(),
        tell: Arc::new(move |known| told.lock().unwrap().push(known.clone())),
    };
    let stop = Arc::clone(&drive.stop);
    let workers = tokio::spawn(drive.run());
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.store(true, Ordering::Relaxed);
    workers.await.unwrap();
    let all = all.lock().unwrap().clone();
    assert_eq!(final_readings(&site, &recorder, u32::MAX, &all).await.unread, 0);
    let report = check(&History::of(recorder.take()), Tolerance::default());
    let answered = report.operations - report.open - report.failed;
    (report.violations.iter().map(|violation| violation.checker).collect(), answered)
}

/// Looks for a mistake in an application until a checker finds it.
async fn is_caught(args: &str, checkers: &[&str]) {
    let begin = Instant::now();
    let mut seed = 0;
    while begin.elapsed() < LONGEST {
        let (found, _) = visit(seed, args).await;
        if checkers.iter().all(|checker| found.contains(checker)) {
            return;
        }
        seed += 1;
    }
    panic!("{checkers:?} found nothing in {seed} runs");
}

#[tokio::test]
async fn visitors_of_several_processes_see_what_the_promises_allow() {
    let (found, answered) = visit(1, "").await;
    assert!(found.is_empty(), "{found:?}");
    assert!(answered > 50, "{answered} answers are too few to show anything");
}

#[tokio::test]
async fn an_application_where_the_last_write_wins_is_caught() {
    is_caught("--concurrency last-write-wins", &["items", "linear"]).await;
}

#[tokio::test]
async fn an_application_where_an_old_id_still_reads_is_caught() {
    is_caught("--grace 30", &["ids", "linear"]).await;
}
