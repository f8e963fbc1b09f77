//! Every engine once, and then the same over HTTP.

use crate::options::Options;
use crate::{Failure, parent, seeds};

/// Seeds of the simulation.
const SEEDS: u64 = 2000;

/// Servers, what breaks, options of the URI, and whether it goes over HTTP.
const RUNS: [(&str, &str, &str, bool); 11] = [
    ("memory", "calls,cancel,collect", "", false),
    ("file", "calls,cancel,collect,kill-client,stop-client", "", false),
    ("redis", "calls,cancel,kill-client,stop-client,kill-server,stop-server", "", false),
    ("valkey", "calls,cancel,kill-client,stop-client,kill-server,stop-server", "", false),
    ("redis-sentinel", "calls,cancel,kill-client,failover", ACKS, false),
    ("redis-cluster", "calls,cancel,kill-client,failover", ACKS, false),
    ("mariadb", "calls,cancel,collect,kill-client,kill-server,stop-server", "", false),
    ("mysql", "calls,cancel,collect,kill-client,kill-server,stop-server", "", false),
    ("mongodb-replica-set", "calls,cancel,collect,kill-client,failover,kill-primary", "", false),
    ("file", "calls,cancel,collect,kill-client,stop-client", "", true),
    ("redis", "calls,cancel,kill-client,stop-client,kill-server,stop-server", "", true),
];
const ACKS: &str = "session.min_replica_acks=1";

/// What can lose what it has acknowledged, and shall be seen to.
const CONTROLS: [(&str, &str, &str, bool); 4] = [
    ("redis-sentinel", "calls,kill-primary", "", false),
    ("redis-cluster", "calls,kill-primary", "", false),
    ("mongodb-replica-set", "calls,kill-primary", "w=1", false),
    ("disk", "calls,power", "session.durability=process", false),
];

/// Runs all, or with `--control` what can lose. Returns whether all is as it should be.
pub(crate) async fn run(options: &Options) -> Result<bool, Failure> {
    let mut right = true;
    let runs = if options.control { &CONTROLS[..] } else { &RUNS[..] };
    for &(server, nemeses, option, http) in runs {
        let run = Options {
            server: Some(server.into()),
            nemeses: nemeses.split(',').map(str::to_owned).collect(),
            extra: Some(option)
                .filter(|option| !option.is_empty())
                .map(str::to_owned)
                .into_iter()
                .collect(),
            http,
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
