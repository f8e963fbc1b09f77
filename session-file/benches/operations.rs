//! What each operation costs in CPU time, beside what one would write by hand.
//!
//! `cargo bench -p session-file [-- directory]` prints a table. CPU time of the
//! whole process is counted, and not the clock on the wall: that of a busy
//! machine says little. The contenders do what is usual: one blocking
//! `std::fs::read`, and a temporary file that is renamed over the old one. They
//! keep no promise about logouts, versions or damaged files.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use session_core::{Bytes, SessionHandler, SessionKey, WriteMode, WriteOptions};
use session_file::{Durability, FileConfig, FileHandler};
use tempfile::TempDir;

const SESSIONS: u32 = 1000;
const PAYLOAD: usize = 300;
const IDLE: Duration = Duration::from_secs(3600);

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn key(number: u32) -> SessionKey {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&number.wrapping_mul(0x9e37_79b1).to_le_bytes());
    SessionKey::from_bytes(bytes)
}

/// Runs `call` for many sessions and prints what one call takes, best of five.
async fn measure<F: Future<Output = ()>>(name: &str, calls: u32, call: impl Fn(u32) -> F) {
    let mut best = (Duration::MAX, Duration::MAX);
    for _ in 0..5 {
        let (start, begin) = (cpu(), Instant::now());
        for number in 0..calls {
            call(number % SESSIONS).await;
        }
        best = (best.0.min((cpu() - start) / calls), best.1.min(begin.elapsed() / calls));
    }
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    println!("{name:<42} {:>9.2} µs CPU {:>9.2} µs", micros(best.0), micros(best.1));
}

async fn blocking(work: impl FnOnce() + Send + 'static) {
    tokio::task::spawn_blocking(work).await.expect("the job runs");
}

async fn ours(base: &Path, durability: Durability, calls: u32) {
    let config = FileConfig::new(base.join(format!("{durability:?}"))).with_durability(durability);
    let handler = FileHandler::new(config).expect("a good configuration");
    let payload = Bytes::from(vec![7; PAYLOAD]);
    let create = WriteOptions::new(WriteMode::Create, IDLE);
    for number in 0..SESSIONS {
        handler.write(&key(number), payload.clone(), &create).await.expect("a new key");
    }
    let (handler, payload) = (&handler, &payload);
    measure(&format!("{durability:?}: read"), 20_000, |number| async move {
        assert!(handler.read(&key(number)).await.expect("a read").is_some());
    })
    .await;
    let replace = &WriteOptions::new(WriteMode::Replace, IDLE);
    measure(&format!("{durability:?}: write"), calls, |number| async move {
        handler.write(&key(number), payload.clone(), replace).await.expect("a live session");
    })
    .await;
    measure(&format!("{durability:?}: touch"), calls, |number| async move {
        assert!(handler.touch(&key(number), IDLE).await.expect("a touch"));
    })
    .await;
    let create = &create;
    measure(&format!("{durability:?}: destroy and create"), calls, |number| async move {
        assert!(handler.destroy(&key(number), None).await.expect("a destroy"));
        handler.write(&key(number), payload.clone(), create).await.expect("a free key");
    })
    .await;
}

async fn by_hand(base: &Path, durable: bool, calls: u32) {
    let base = base.join(format!("by-hand-{durable}"));
    std::fs::create_dir(&base).expect("a new directory");
    let path = |number: u32| -> PathBuf { base.join(key(number).to_string()) };
    for number in 0..SESSIONS {
        std::fs::write(path(number), [7; PAYLOAD]).expect("a new file");
    }
    measure("by hand: read", 20_000, |number| {
        let path = path(number);
        blocking(move || assert_eq!(std::fs::read(path).expect("a file").len(), PAYLOAD))
    })
    .await;
    let name =
        if durable { "by hand: write, fsync, rename over" } else { "by hand: write, rename over" };
    measure(name, calls, |number| {
        let path = path(number);
        blocking(move || {
            use std::io::Write;
            let temp = path.with_extension("tmp");
            let mut file = std::fs::File::create(&temp).expect("a new file");
            file.write_all(&[7; PAYLOAD]).expect("room");
            if durable {
                file.sync_all().expect("a disk");
            }
            std::fs::rename(&temp, &path).expect("the same directory");
            if durable {
                let dir = path.parent().expect("a directory");
                std::fs::File::open(dir).and_then(|dir| dir.sync_all()).expect("a disk");
            }
        })
    })
    .await;
}

fn main() {
    let place = std::env::args().nth(1).filter(|arg| !arg.starts_with('-'));
    let dir = match &place {
        Some(place) => TempDir::new_in(place),
        None => TempDir::new(),
    };
    let dir = dir.expect("a directory to work in");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        by_hand(dir.path(), false, 5_000).await;
        ours(dir.path(), Durability::Process, 5_000).await;
        by_hand(dir.path(), true, 300).await;
        ours(dir.path(), Durability::Full, 300).await;
    });
}
