//! What all servers have in common.

use rustix::thread::CpuSet;
use rustix::time::{ClockId, clock_gettime};
use tokio::net::TcpListener;

use crate::Failure;

/// Serves until the process is ended. Says where on the first line of output.
macro_rules! serve {
    ($name:ident, $axum:ident) => {
        pub(crate) async fn $name(app: $axum::Router, listen: &str) -> Result<(), Failure> {
            let cpu = $axum::routing::get(async || cpu_time().to_string());
            let listener = TcpListener::bind(listen).await?;
            println!("{}", listener.local_addr()?);
            Ok($axum::serve(listener, app.route("/cpu", cpu)).await?)
        }
    };
}

serve!(axum_0_8, axum);
serve!(axum_0_7, axum_0_7);

/// Keeps this thread, and those it will make, on one CPU.
pub(crate) fn stay_on(cpu: usize) -> Result<(), Failure> {
    let mut cpus = CpuSet::new();
    cpus.set(cpu);
    Ok(rustix::thread::sched_setaffinity(None, &cpus)?)
}

/// Returns the nanoseconds of CPU time that this process has used.
fn cpu_time() -> i128 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
}
