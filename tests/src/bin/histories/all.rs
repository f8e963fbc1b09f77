//! Every engine once, and then the same over HTTP.

use crate::options::Options;
use crate::{Failure, parent, seeds};

/// Seeds of the simulation.
const SEEDS: u64 = 2000;

/// One run.
struct Run {
    server: &'static str,
    nemeses: &'static str,
    /// What is added to the URI.
    option: Option<&'static str>,
    http: bool,
    stale_reads: bool,
}

impl Run {
    const fn of(server: &'static str, nemeses: &'static str) -> Self {
        Self { server, nemeses, option: None, http: false, stale_reads: false }
    }

    const fn with(self, option: &'static str) -> Self {
        Self { option: Some(option), ..self }
    }

    const fn http(self) -> Self {
        Self { http: true, ..self }
    }

    const fn with_stale_reads(self) -> Self {
        Self { stale_reads: true, ..self }
    }
}

const RUNS: [Run; 14] = [
    Run::of("memory", "calls,cancel,collect,clock"),
    Run { nemeses: "calls,cancel,collect,clock,kill-client,stop-client", ..FILE },
    Run::of("disk", "calls,full,power"),
    Run { nemeses: "calls,clock,flush-scripts,wire", ..REDIS },
    REDIS,
    Run { server: "valkey", ..REDIS },
    // Each of both replicas may become the primary, so that both have to know.
    Run::of("redis-sentinel", "calls,cancel,kill-client,failover,kill-primary")
        .with("session.min_replica_acks=2")
        .with_stale_reads(),
    Run::of("redis-cluster", "calls,cancel,kill-client,failover,kill-primary")
        .with("session.min_replica_acks=1"),
    SQL,
    Run { server: "mysql", ..SQL },
    // By default a primary shows what no other member has yet, and may have to take it back.
    Run::of("mongodb-replica-set", "calls,cancel,collect,kill-client,failover,lone-primary")
        .with("readConcernLevel=linearizable"),
    Run::of("mongodb-replica-set", "calls,failover,lone-primary").with_stale_reads(),
    FILE.http(),
    REDIS.http(),
];
const FILE: Run = Run::of("file", "calls,cancel,collect,kill-client,stop-client");
const REDIS: Run = Run::of(
    "redis",
    "calls,cancel,kill-client,stop-client,kill-server,stop-server,wire,full,read-only,flush-scripts",
);
const SQL: Run =
    Run::of("mariadb", "calls,cancel,collect,kill-client,kill-server,stop-server,wire,read-only");

/// What can lose what it has acknowledged, and shall be seen to.
const CONTROLS: [Run; 5] = [
    Run::of("redis-sentinel", "calls,lone-primary"),
    // The old primary goes on for a while with the replica that was not chosen.
    Run::of("redis-sentinel", "calls,failover").with("session.min_replica_acks=1"),
    Run::of("redis-cluster", "calls,lone-primary"),
    Run::of("mongodb-replica-set", "calls,lone-primary").with("w=1"),
    Run::of("disk", "calls,power").with("session.durability=process"),
];

/// Runs all, or with `--control` what can lose. Returns whether all is as it should be.
pub(crate) async fn run(options: &Options) -> Result<bool, Failure> {
    let mut right = true;
    let runs = if options.control { &CONTROLS[..] } else { &RUNS[..] };
    for &Run { server, nemeses, option, http, stale_reads } in runs {
        let run = Options {
            server: Some(server.into()),
            nemeses: nemeses.split(',').map(str::to_owned).collect(),
            extra: option.into_iter().map(str::to_owned).collect(),
            http,
            stale_reads,
            processes: if http { 4 } else { options.processes },
            workers: if http { 8 } else { options.workers },
            ..options.clone()
        };
        right &= parent::run(&run).await?;
    }
    if !options.control {
        let seeds =
            tokio::task::spawn_blocking(|| seeds::mutants(0) & seeds::simulate_all(0, SEEDS));
        right &= seeds.await?;
    }
    println!("{}", if right { "nothing is wrong" } else { "SOMETHING IS WRONG" });
    Ok(right)
}
