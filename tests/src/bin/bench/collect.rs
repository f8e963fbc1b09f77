//! Garbage collection of many files, while requests go on.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use session_core::{Bytes, SessionHandler, SessionKey, WriteMode, WriteOptions};
use session_http::{SessionError, SessionManager};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::client::Client;
use crate::contender::{Contender, Keeper, Operation};
use crate::load::quantile;
use crate::process::Server;
use crate::{Failure, report};

/// How many requests are under way at a time.
const CLIENTS: usize = 4;
/// How long each of them waits between two, so that latency is measured and not
/// how much the machine can do.
const PAUSE: Duration = Duration::from_millis(2);
/// How long the server is watched before the collection.
const QUIET: Duration = Duration::from_secs(10);

/// Collects until nothing is left to look at; returns how much was removed.
pub(crate) async fn all(sessions: &SessionManager) -> Result<String, SessionError> {
    let mut removed = 0;
    loop {
        let report = sessions.gc().await?;
        removed += report.removed;
        if !report.more {
            return Ok(removed.to_string());
        }
    }
}

/// Makes the files, and measures requests before and during a collection.
pub(crate) fn run(dir: &Path, sessions: u64, expired: u64) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let begin = Instant::now();
        fill(dir, sessions, expired).await?;
        let filled = begin.elapsed();
        // Until the last of them has expired.
        tokio::time::sleep(Duration::from_millis(1100)).await;
        let server = Server::start(Contender::Ours(Keeper::File), dir, None, &[])?;
        let quiet = watched(server.addr, async {
            tokio::time::sleep(QUIET).await;
            Ok(String::new())
        })
        .await?;
        let mut control = Client::connect(server.addr).await?;
        let busy = watched(server.addr, async { control.get("/collect").await }).await?;
        server.end()?;
        if let serde_json::Value::Object(about) = report::about() {
            for (name, value) in about {
                println!("- {name}: {value}");
            }
        }
        println!("- sessions: {sessions}, {expired} % of them expired; made in {filled:.0?}");
        println!("- collected: {} in {:.1?}\n", busy.answer, busy.length);
        println!("| | requests | p50 µs | p99 µs | p99.9 µs | slowest µs | memory at most KiB |");
        println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
        println!("| before | {quiet} |");
        println!("| meanwhile | {busy} |");
        Ok(())
    })
}

/// Writes records of about the size of a small session.
async fn fill(dir: &Path, sessions: u64, expired: u64) -> Result<(), Failure> {
    let dir = dir.join(Contender::Ours(Keeper::File).name());
    let uri = format!("file:{}?session.durability=process", dir.display());
    let handler = session_http::registry().connect(&uri).await?;
    let mut work = JoinSet::new();
    for number in 0..sessions {
        if work.len() >= 64
            && let Some(done) = work.join_next().await
        {
            done??;
        }
        let handler = std::sync::Arc::clone(&handler);
        work.spawn(async move {
            let mut key = [0; 32];
            getrandom::fill(&mut key).map_err(|err| err.to_string())?;
            let idle = Duration::from_secs(if number % 100 < expired { 1 } else { 3600 });
            let options = WriteOptions::new(WriteMode::Create, idle);
            let payload = Bytes::from_static(&[b'x'; 200]);
            handler.write(&SessionKey::from_bytes(key), payload, &options).await?;
            Ok::<_, Failure>(())
        });
        if number % 100_000 == 0 {
            eprintln!("{number} files");
        }
    }
    while let Some(done) = work.join_next().await {
        done??;
    }
    Ok(())
}

/// What requests and memory were like during some work.
struct Watched {
    answer: String,
    length: Duration,
    latencies: Vec<Duration>,
    rss_kib: u64,
}

/// Reads and changes sessions until the work is done.
async fn watched(
    addr: SocketAddr,
    work: impl Future<Output = Result<String, Failure>>,
) -> Result<Watched, Failure> {
    let (done, is_done) = watch::channel(false);
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let is_done = is_done.clone();
        let mut client = Client::connect(addr).await?;
        let read = client.prepare(Operation::Read).await?;
        let change = client.prepare(Operation::Change).await?;
        clients.spawn(async move {
            let mut latencies = Vec::new();
            while !*is_done.borrow() {
                for request in [&read, &change] {
                    let begin = Instant::now();
                    client.ask(request).await?;
                    latencies.push(begin.elapsed());
                    tokio::time::sleep(PAUSE).await;
                }
            }
            Ok::<_, Failure>(latencies)
        });
    }
    let mut control = Client::connect(addr).await?;
    let memory = tokio::spawn(async move {
        let mut most = 0;
        while !*is_done.borrow() {
            most = most.max(control.get("/rss").await?.parse()?);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok::<_, Failure>(most)
    });
    let begin = Instant::now();
    let answer = work.await?;
    let length = begin.elapsed();
    done.send_replace(true);
    let mut latencies = Vec::new();
    while let Some(client) = clients.join_next().await {
        latencies.append(&mut client??);
    }
    latencies.sort_unstable();
    if latencies.is_empty() {
        return Err("the work was over before a request was answered; take more sessions".into());
    }
    Ok(Watched { answer, length, latencies, rss_kib: memory.await?? })
}

impl std::fmt::Display for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let micros = |of| quantile(&self.latencies, of).as_micros();
        let count = self.latencies.len();
        let (p50, p99, p999, most) = (micros(0.5), micros(0.99), micros(0.999), micros(1.0));
        write!(f, "{count} | {p50} | {p99} | {p999} | {most} | {}", self.rss_kib)
    }
}
