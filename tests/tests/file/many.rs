//! As many files as a large site has.

use std::sync::Arc;
use std::time::{Duration, Instant};

use session_core::{
    Bytes, GcRequest, ManualClock, PageRequest, SessionHandler, SessionKey, WriteMode, WriteOptions,
};
use session_file::{Durability, FileConfig, FileHandler};
use tempfile::TempDir;

const MANY: u64 = 1_000_000;
const HOUR: Duration = Duration::from_secs(3600);

/// The keys are hashes elsewhere; here they only have to be spread evenly.
fn key(number: u64) -> SessionKey {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    bytes[24..].copy_from_slice(&number.to_be_bytes());
    SessionKey::from_bytes(bytes)
}

async fn create(handler: &FileHandler, numbers: std::ops::Range<u64>) {
    let options = WriteOptions::new(WriteMode::Create, HOUR);
    for number in numbers {
        let payload = Bytes::from_static(&[7; 300]);
        handler.write(&key(number), payload, &options).await.unwrap();
    }
}

/// Reads so many sessions of `among`. Returns the median and the 99th percentile.
async fn read(handler: &FileHandler, among: u64) -> (Duration, Duration) {
    let mut times = Vec::new();
    for _ in 0..20_000 {
        let key = key(fastrand::u64(..among));
        let begin = Instant::now();
        assert!(handler.read(&key).await.unwrap().is_some());
        times.push(begin.elapsed());
    }
    times.sort_unstable();
    (times[10_000], times[19_800])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: a million files"]
async fn a_million_sessions_are_as_fast_as_a_thousand_and_collected_in_bounded_steps() {
    let dir = TempDir::new().unwrap();
    let clock = ManualClock::new();
    let config = FileConfig::new(dir.path().join("sessions")).with_durability(Durability::Process);
    let handler = FileHandler::new(config).unwrap().with_clock(Arc::new(clock.clone()));

    create(&handler, 0..1000).await;
    let few = read(&handler, 1000).await;
    let begin = Instant::now();
    create(&handler, 1000..MANY).await;
    println!("figure: {MANY} sessions created in {:.0?}", begin.elapsed());
    let many = read(&handler, MANY).await;
    println!("figure: read of one of 1000: p50 {:.0?}, p99 {:.0?}", few.0, few.1);
    println!("figure: read of one of {MANY}: p50 {:.0?}, p99 {:.0?}", many.0, many.1);

    let lister = handler.lister().unwrap();
    let (mut request, mut listed) = (PageRequest::first(10_000), 0);
    let begin = Instant::now();
    loop {
        let page = lister.list(&request).await.unwrap();
        assert!(page.items.len() <= 10_000);
        listed += page.items.len() as u64;
        let Some(next) = page.next else { break };
        request = PageRequest::at(next, 10_000);
    }
    assert_eq!(listed, MANY);
    println!("figure: {MANY} sessions listed in {:.0?}", begin.elapsed());

    clock.advance(HOUR);
    let (mut removed, mut steps, mut longest) = (0, 0, Duration::ZERO);
    let begin = Instant::now();
    loop {
        let step = Instant::now();
        let mut request = GcRequest::default();
        request.limit = 1000;
        let report = handler.gc(&request).await.unwrap();
        assert!(report.scanned <= 1000);
        removed += report.removed;
        steps += 1;
        longest = longest.max(step.elapsed());
        if !report.more {
            break;
        }
    }
    assert_eq!(removed, MANY);
    let all = begin.elapsed();
    println!("figure: {MANY} collected in {all:.0?}, {steps} steps, the longest {longest:.1?}");
}
