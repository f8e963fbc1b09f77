//! Load, and what it cost the server.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::Failure;
use crate::client::Client;
use crate::contender::Operation;
use crate::store::Process;

/// What one measurement found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) requests_per_second: f64,
    /// The server's CPU time per request.
    pub(crate) cpu: Duration,
    /// The CPU time of the server that keeps the sessions, per request.
    pub(crate) store_cpu: Option<Duration>,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

/// Sends one request after the other on every connection, each with a session of
/// its own, and measures after the first tenth of the time.
pub(crate) async fn measure(
    addr: SocketAddr,
    operation: Operation,
    store: Option<Process>,
    connections: usize,
    length: Duration,
) -> Result<Sample, Failure> {
    let mut clients = Vec::new();
    for _ in 0..connections {
        let mut client = Client::connect(addr).await?;
        let request = client.prepare(operation).await?;
        clients.push((client, request));
    }
    let mut control = Client::connect(addr).await?;
    let warm = Instant::now() + length / 10;
    let end = warm + length;
    let mut work = JoinSet::new();
    for (mut client, request) in clients {
        work.spawn(async move {
            let mut latencies = Vec::with_capacity(1 << 14);
            loop {
                let begin = Instant::now();
                if begin >= end {
                    return Ok::<_, Failure>(latencies);
                }
                client.ask(&request).await?;
                if begin >= warm {
                    latencies.push(begin.elapsed());
                }
            }
        });
    }
    tokio::time::sleep_until(warm.into()).await;
    let before = cpu(&mut control).await?;
    let store_before = store.map(Process::cpu_time).transpose()?;
    tokio::time::sleep_until(end.into()).await;
    let used = cpu(&mut control).await?.saturating_sub(before);
    let store_after = store.map(Process::cpu_time).transpose()?;
    let mut latencies = Vec::new();
    while let Some(done) = work.join_next().await {
        latencies.append(&mut done??);
    }
    latencies.sort_unstable();
    let count = u32::try_from(latencies.len()).unwrap_or(u32::MAX);
    if count == 0 {
        return Err("no request was answered in time".into());
    }
    Ok(Sample {
        requests_per_second: f64::from(count) / length.as_secs_f64(),
        cpu: used / count,
        store_cpu: store_after.zip(store_before).map(|(after, before)| (after - before) / count),
        p50: quantile(&latencies, 0.5),
        p99: quantile(&latencies, 0.99),
    })
}

async fn cpu(control: &mut Client) -> Result<Duration, Failure> {
    Ok(Duration::from_nanos(control.get("/cpu").await?.parse()?))
}

/// Returns a quantile of sorted durations that are not empty.
pub(crate) fn quantile(sorted: &[Duration], of: f64) -> Duration {
    let last = sorted.len() - 1;
    sorted[((last as f64 * of).round() as usize).min(last)]
}
