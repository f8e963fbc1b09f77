//! The command line.

use std::path::PathBuf;

use lexopt::prelude::*;

use crate::Failure;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Uses sessions from several processes while things break, and checks what was answered.

usage: histories [--store URI | --server NAME] [options]
       histories http [--store URI | --server NAME] [options]
                                                   the same through the probe application
       histories all [options]                     every engine, and all of the below
       histories simulate [--seed S] [--count N]   a simulated store, one history a seed
       histories mutants [--seed S]                stores with a mistake, until each is caught

  --store URI      memory:, file:///dir, or any other engine of the build
  --server NAME    has its own: memory, file, disk (files on ext4 that can lose its power;
                   needs root), redis, valkey, redis-sentinel, redis-cluster, mariadb, mysql,
                   mongodb, mongodb-replica-set
  --option K=V     added to the URI; repeatable
  --seconds N      how long [20]
  --operations N   longer than that, until there were so many [0]
  --seed S         what all draw by [the time]
  --processes N    how many use the store, but for memory: [2, over HTTP 4]
  --workers N      how many in each, over HTTP how many visitors [4, over HTTP 8]
  --nemesis A,B    what breaks in turn: calls (fail, are late, lose their answer),
                   cancel, collect (without a pause), clock (each process has another
                   time), kill-client and stop-client (a process that uses the store),
                   kill-server, stop-server, wire (to a server of one node: cut, refused,
                   late, slow, stalled, half-open, torn, without an answer, garbled), full
                   (a disk; the memory of Redis), read-only and flush-scripts (servers of
                   one node), failover, kill-primary, lone-primary (killed after 1.5 s
                   without its replicas), power (of a disk)
                   [calls,cancel,collect]
  --deadline MS    of every call to the store [1000]
  --tolerance MS   how far lifetimes may be off [50]
  --stale-reads    what is read may be old while a primary changes: only what was
                   acknowledged, and what is there at the end, is checked
  --control        something shall be lost: says how much, and fails if nothing is
  --keep DIR       where the history stays [only if something is wrong]
";

/// What the command line asks for.
pub(crate) enum Asked {
    Run(Box<Options>),
    All(Box<Options>),
    Simulate { first: u64, count: u64 },
    Mutants { first: u64 },
    Help,
}

/// The settings of a run.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) store: Option<String>,
    pub(crate) server: Option<String>,
    pub(crate) extra: Vec<String>,
    pub(crate) seconds: f64,
    /// How many operations there shall be at the least.
    pub(crate) operations: u64,
    pub(crate) seed: u64,
    pub(crate) processes: u32,
    pub(crate) workers: u32,
    pub(crate) nemeses: Vec<String>,
    pub(crate) deadline: u64,
    pub(crate) tolerance: u64,
    pub(crate) keep: Option<PathBuf>,
    /// Whether workers visit an application.
    pub(crate) http: bool,
    /// Whether only what is read at the end counts.
    pub(crate) stale_reads: bool,
    /// Whether something shall be lost.
    pub(crate) control: bool,
    /// The number of a process that was started by another.
    pub(crate) child: Option<u32>,
}

const NEMESES: [&str; 16] = [
    "calls",
    "cancel",
    "collect",
    "clock",
    "kill-client",
    "stop-client",
    "kill-server",
    "stop-server",
    "wire",
    "full",
    "read-only",
    "flush-scripts",
    "failover",
    "kill-primary",
    "lone-primary",
    "power",
];

impl Options {
    pub(crate) fn parse() -> Result<Asked, Failure> {
        let mut options = Self {
            store: None,
            server: None,
            extra: Vec::new(),
            seconds: 20.0,
            operations: 0,
            seed: session_tests::history::now(),
            processes: 2,
            workers: 4,
            nemeses: ["calls", "cancel", "collect"].map(str::to_owned).into(),
            deadline: 1000,
            tolerance: 50,
            keep: None,
            http: false,
            stale_reads: false,
            control: false,
            child: None,
        };
        let (mut word, mut count, mut seed) = (None, 10_000, None);
        let (mut processes, mut workers) = (None, None);
        let mut args = lexopt::Parser::from_env();
        while let Some(arg) = args.next()? {
            match arg {
                Short('h') | Long("help") => return Ok(Asked::Help),
                Long("store") => options.store = Some(args.value()?.string()?),
                Long("server") => options.server = Some(args.value()?.string()?),
                Long("option") => options.extra.push(args.value()?.string()?),
                Long("seconds") => options.seconds = args.value()?.parse()?,
                Long("operations") => options.operations = args.value()?.parse()?,
                Long("seed") => seed = Some(args.value()?.parse()?),
                Long("count") => count = args.value()?.parse()?,
                Long("processes") => processes = Some(args.value()?.parse()?),
                Long("workers") => workers = Some(args.value()?.parse()?),
                Long("deadline") => options.deadline = args.value()?.parse()?,
                Long("tolerance") => options.tolerance = args.value()?.parse()?,
                Long("keep") => options.keep = Some(args.value()?.into()),
                Long("stale-reads") => options.stale_reads = true,
                Long("control") => options.control = true,
                Long("child") => options.child = Some(args.value()?.parse()?),
                Long("nemesis") => {
                    let names = args.value()?.string()?;
                    options.nemeses =
                        names.split(',').filter(|n| !n.is_empty()).map(str::to_owned).collect();
                }
                Value(name) if word.is_none() => word = Some(name.string()?),
                other => return Err(other.unexpected().into()),
            }
        }
        if let Some(bad) = options.nemeses.iter().find(|name| !NEMESES.contains(&name.as_str())) {
            return Err(
                format!("there is no nemesis `{bad}`; known: {}", NEMESES.join(", ")).into()
            );
        }
        options.seed = seed.unwrap_or(options.seed);
        options.http = word.as_deref() == Some("http");
        options.processes = processes.unwrap_or(if options.http { 4 } else { 2 });
        options.workers = workers.unwrap_or(if options.http { 8 } else { 4 });
        if options.processes == 0 || options.workers == 0 {
            return Err("without a process or a worker nothing happens".into());
        }
        match word.as_deref() {
            Some("simulate") => Ok(Asked::Simulate { first: seed.unwrap_or(0), count }),
            Some("mutants") => Ok(Asked::Mutants { first: seed.unwrap_or(0) }),
            Some("all") => Ok(Asked::All(Box::new(options))),
            Some(other) if other != "http" => Err(format!("there is no command `{other}`").into()),
            _ if options.store.is_some() != options.server.is_some() => {
                Ok(Asked::Run(Box::new(options)))
            }
            _ => Err("give either --store or --server".into()),
        }
    }

    /// Returns whether something breaks.
    pub(crate) fn breaks(&self, nemesis: &str) -> bool {
        self.nemeses.iter().any(|name| name == nemesis)
    }

    /// Returns the command that does the same again.
    pub(crate) fn command(&self) -> String {
        let mut words = vec!["histories".to_owned()];
        words.extend(self.http.then(|| "http".to_owned()));
        let mut say = |name: &str, value: String| words.extend([format!("--{name}"), value]);
        if let Some(store) = &self.store {
            say("store", format!("'{store}'"));
        }
        if let Some(server) = &self.server {
            say("server", server.clone());
        }
        self.extra.iter().for_each(|extra| say("option", extra.clone()));
        say("seconds", self.seconds.to_string());
        if self.operations > 0 {
            say("operations", self.operations.to_string());
        }
        say("seed", self.seed.to_string());
        say("processes", self.processes.to_string());
        say("workers", self.workers.to_string());
        say("nemesis", self.nemeses.join(","));
        say("deadline", self.deadline.to_string());
        say("tolerance", self.tolerance.to_string());
        words.extend(self.stale_reads.then(|| "--stale-reads".to_owned()));
        words.extend(self.control.then(|| "--control".to_owned()));
        words.join(" ")
    }
}
