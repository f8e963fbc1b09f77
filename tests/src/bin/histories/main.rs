//! Tries it.
use session_tests::history::{History, Recorder, checkers, model::Tolerance};
use session_tests::workload::*;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;
#[tokio::main]
async fn main() {
    let uri = std::env::args().nth(1).unwrap();
    if uri == "sim" {
        let a: u64 = std::env::args().nth(2).unwrap().parse().unwrap();
        let b: u64 = std::env::args().nth(3).unwrap().parse().unwrap();
        let start = std::time::Instant::now();
        let (mut ops, mut faults, mut bad) = (0, 0, 0);
        let mut by = std::collections::BTreeMap::new();
        for seed in a..b {
            let o = session_tests::simulation::simulate(seed);
            ops += o.report.operations;
            faults += o.faults;
            if o.report.undecided > 0 {
                println!("seed {seed} undecided");
            }
            if !o.report.violations.is_empty() {
                bad += 1;
                for v in &o.report.violations {
                    *by.entry(v.checker).or_insert(0) += 1;
                }
                if bad <= 3 || b - a == 1 {
                    println!("seed {seed}");
                    for v in o.report.violations.iter().take(4) {
                        println!("{v}");
                        if b - a == 1 {
                            for l in o.history.lineages.iter().filter(|l| l.number == v.lineage) {
                                for o in &l.operations {
                                    println!(
                                        "   {:x} w{} {:?} -> {:?} {}..{}",
                                        o.op, o.worker, o.call, o.end, o.from, o.to as i64
                                    );
                                }
                            }
                        }
                    }
                }
            }
        }
        println!(
            "{} seeds, {ops} ops, {faults} faults, {bad} bad {by:?} in {:?}",
            b - a,
            start.elapsed()
        );
        return;
    }
    let secs: f64 = std::env::args().nth(2).unwrap().parse().unwrap();
    let handler = session_http::registry().connect(&uri).await.unwrap();
    let subject: Arc<dyn Subject> = Arc::new(Direct::new(handler, Duration::from_secs(2)));
    let recorder = Recorder::in_memory();
    let all = Arc::new(Mutex::new(Vec::new()));
    let tell = {
        let all = Arc::clone(&all);
        Arc::new(move |known: &Known| all.lock().unwrap().push(known.clone()))
    };
    let habits = Arc::new(Habits::default());
    habits.rests.store(20, std::sync::atomic::Ordering::SeqCst);
    let drive = Drive {
        subjects: vec![Arc::clone(&subject)],
        workers: 8,
        first: 0,
        seed: 1,
        recorder: recorder.clone(),
        table: Arc::new(Table::new(12, 80)),
        habits,
        collect_every: Arc::new(20.into()),
        stop: Arc::default(),
        tell,
    };
    let stop = Arc::clone(&drive.stop);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs_f64(secs)).await;
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
    });
    drive.run().await;
    let all = all.lock().unwrap().clone();
    final_readings(&*subject, &recorder, 99, &all).await;
    let lines = recorder.take();
    let start = std::time::Instant::now();
    let history = History::of(lines);
    let report = checkers::check(&history, Tolerance::default());
    println!(
        "{} ops {} lineages open {} failed {} undecided {} violations {} in {:?}",
        report.operations,
        report.lineages,
        report.open,
        report.failed,
        report.undecided,
        report.violations.len(),
        start.elapsed()
    );
    for v in report.violations.iter().take(10) {
        println!("{v}");
        for l in history.lineages.iter().filter(|l| l.number == v.lineage) {
            for o in &l.operations {
                println!("   {:?}", o);
            }
        }
    }
}
