//! Starts the processes, breaks things, and checks the histories.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use session_tests::history::checkers::{check, recovery::recoveries};
use session_tests::history::model::Tolerance;
use session_tests::history::{Event, History, Recorder, read};
use session_tests::servers::Running;
use session_tests::workload::{Known, final_readings};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader as Lines};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::child::{Here, from_text, history_file, to_text};
use crate::options::Options;
use crate::{Failure, store};

/// Sessions that a new process is told of.
const RECENT: usize = 8;

/// One process of workers.
struct Process {
    number: u32,
    child: Child,
    input: ChildStdin,
}

/// All processes, and what they say.
struct Crew<'a> {
    options: &'a Options,
    uri: String,
    processes: Vec<Process>,
    started: u32,
    all: Vec<Known>,
    sender: UnboundedSender<(u32, String)>,
    said: UnboundedReceiver<(u32, String)>,
}

impl Crew<'_> {
    async fn start_one(&mut self) -> Result<(), Failure> {
        self.started += 1;
        let number = self.started;
        let mut command = Command::new(std::env::current_exe()?);
        let options = self.options;
        command.args(["--child", &number.to_string(), "--store", "by-input"]);
        command.args(["--seed", &options.seed.to_string()]);
        command.args(["--workers", &options.workers.to_string()]);
        command.args(["--deadline", &options.deadline.to_string()]);
        command.arg("--keep").arg(options.keep.clone().unwrap_or_default());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let mut input = child.stdin.take().ok_or("no input")?;
        input.write_all(format!("{}\n", self.uri).as_bytes()).await?;
        for known in self.all.iter().rev().take(RECENT) {
            input.write_all(format!("{}\n", to_text(known)).as_bytes()).await?;
        }
        let mut lines = Lines::new(child.stdout.take().ok_or("no output")?).lines();
        match lines.next_line().await? {
            Some(line) if line == "ready" => {}
            _ => return Err("a process of workers did not start".into()),
        }
        let sender = self.sender.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                drop(sender.send((number, line)));
            }
        });
        self.processes.push(Process { number, child, input });
        Ok(())
    }

    /// Tells all processes but one.
    async fn tell(&mut self, line: &str, but: u32) {
        for process in &mut self.processes {
            if process.number != but {
                // One that has just been killed does not listen.
                drop(process.input.write_all(format!("{line}\n").as_bytes()).await);
            }
        }
    }

    /// Passes on what is said, until a moment.
    async fn listen_until(&mut self, moment: Instant) {
        let deadline = tokio::time::Instant::from_std(moment);
        while let Ok(Some((from, line))) = tokio::time::timeout_at(deadline, self.said.recv()).await
        {
            if let Some(known) = from_text(&line) {
                self.all.push(known);
                self.tell(&line, from).await;
            }
        }
    }

    fn signal(&self, at: usize, signal: Signal) {
        if let Some(pid) = self.processes[at].child.id().and_then(|pid| i32::try_from(pid).ok())
            && let Some(pid) = Pid::from_raw(pid)
        {
            let _ = kill_process(pid, signal);
        }
    }

    async fn end(&mut self) -> Result<(), Failure> {
        self.tell("stop", 0).await;
        let mut done = 0;
        let limit = tokio::time::Instant::now() + Duration::from_secs(60);
        while done < self.processes.len() {
            match tokio::time::timeout_at(limit, self.said.recv()).await {
                Ok(Some((_, line))) if line == "done" => done += 1,
                Ok(Some((_, line))) => self.all.extend(from_text(&line)),
                _ => return Err("a process of workers does not come to its end".into()),
            }
        }
        Ok(())
    }
}

/// Runs, checks and reports. Returns whether nothing is wrong.
pub(crate) async fn run(options: &Options) -> Result<bool, Failure> {
    let directory = tempfile::tempdir()?;
    let mut options = options.clone();
    let kept = options.keep.is_some();
    let keep = options.keep.get_or_insert_with(|| directory.path().to_owned()).clone();
    std::fs::create_dir_all(&keep)?;
    let server = match &options.server {
        Some(name) => Some(store::start(name).await?),
        None => None,
    };
    let uri = match (&server, &options.store) {
        (Some(server), _) => server.url(),
        (None, Some(uri)) => uri.clone(),
        (None, None) => return Err("no store".into()),
    };
    let uri = store::with_options(&uri, &options.extra);
    println!("again: {}", options.command());
    let recorder = Recorder::to_file(&history_file(&options, 0), 0)?;
    if uri.starts_with("memory:") {
        in_this_process(&options, &uri, &recorder).await?;
    } else {
        in_processes(&options, uri, server.as_ref(), &recorder).await?;
    }
    let version = match &server {
        Some(server) => server.version().await?,
        None => options.store.clone().unwrap_or_default(),
    };
    let right = report(&options, &keep, &version)?;
    if !right && !kept {
        println!("the history is kept in {}", directory.keep().display());
    }
    Ok(right)
}

/// What goes wrong, and when, drawn by the seed.
struct Plan {
    random: fastrand::Rng,
    end: Instant,
}

impl Plan {
    fn new(options: &Options) -> Self {
        let end = Instant::now() + Duration::from_secs_f64(options.seconds);
        Self { random: fastrand::Rng::with_seed(options.seed), end }
    }

    fn pause(&mut self, millis: std::ops::Range<u64>) -> Instant {
        (Instant::now() + Duration::from_millis(self.random.u64(millis))).min(self.end)
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.end
    }
}

async fn in_this_process(options: &Options, uri: &str, recorder: &Recorder) -> Result<(), Failure> {
    let all: Arc<Mutex<Vec<Known>>> = Arc::default();
    let told = Arc::clone(&all);
    let tell = Arc::new(move |known: &Known| {
        told.lock().unwrap_or_else(PoisonError::into_inner).push(known.clone());
    });
    let here = Here::open(options, uri, 0, recorder.clone(), tell).await?;
    let workers = tokio::spawn(here.drive.clone().run());
    let mut plan = Plan::new(options);
    let mut random = fastrand::Rng::with_seed(options.seed);
    while !plan.is_over() {
        tokio::time::sleep_until(plan.pause(100..400).into()).await;
        if let Some(name) = plan.random.choice(&options.nemeses) {
            recorder.fault(Event::Fault(name.clone()));
            here.fault(name, &mut random);
            tokio::time::sleep_until(plan.pause(100..600).into()).await;
            here.heal();
            recorder.fault(Event::Heal(name.clone()));
        }
    }
    here.drive.stop.store(true, std::sync::atomic::Ordering::Relaxed);
    workers.await?;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let all = all.lock().unwrap_or_else(PoisonError::into_inner).clone();
    final_readings(&here.direct, recorder, u32::MAX, &all).await;
    Ok(())
}

async fn in_processes(
    options: &Options,
    uri: String,
    server: Option<&Running>,
    recorder: &Recorder,
) -> Result<(), Failure> {
    let (sender, said) = unbounded_channel();
    let (processes, all) = (Vec::new(), Vec::new());
    let mut crew = Crew { options, uri: uri.clone(), processes, started: 0, all, sender, said };
    for _ in 0..options.processes {
        crew.start_one().await?;
    }
    let mut plan = Plan::new(options);
    while !plan.is_over() {
        crew.listen_until(plan.pause(200..800)).await;
        let Some(name) = plan.random.choice(&options.nemeses).filter(|_| !plan.is_over()) else {
            continue;
        };
        recorder.fault(Event::Fault(name.clone()));
        let at = plan.random.usize(..crew.processes.len());
        let until = plan.pause(200..1200);
        match name.as_str() {
            "kill-client" => {
                crew.signal(at, Signal::KILL);
                let mut killed = crew.processes.swap_remove(at);
                killed.child.wait().await?;
                crew.start_one().await?;
            }
            "stop-client" => {
                crew.signal(at, Signal::STOP);
                crew.listen_until(until).await;
                crew.signal(at, Signal::CONT);
            }
            "kill-server" | "stop-server" | "failover" => {
                let server = server.ok_or("only a server that was started here can break")?;
                if !store::fault(server, name).await? {
                    return Err(format!("this server knows no {name}").into());
                }
                crew.listen_until(until).await;
                store::heal(server, name).await?;
            }
            _ => {
                crew.tell(&format!("fault {name}"), 0).await;
                crew.listen_until(until).await;
                crew.tell("heal", 0).await;
            }
        }
        recorder.fault(Event::Heal(name.clone()));
    }
    // So that the last fault shows how long it keeps on working.
    crew.listen_until(Instant::now() + Duration::from_secs(1)).await;
    crew.end().await?;
    let here = Here::open(options, &uri, 0, recorder.clone(), Arc::new(|_: &Known| {})).await?;
    final_readings(&here.direct, recorder, u32::MAX, &crew.all).await;
    Ok(())
}

/// Reads all histories, checks them and prints what was found.
fn report(options: &Options, keep: &Path, version: &str) -> Result<bool, Failure> {
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(keep)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            lines.extend(read(BufReader::new(File::open(path)?))?);
        }
    }
    let history = History::of(lines);
    let tolerance = Tolerance { lifetimes: options.tolerance * 1_000_000 };
    let report = check(&history, tolerance);
    let mut longest: BTreeMap<String, u64> = BTreeMap::new();
    let mut recovered = true;
    for recovery in recoveries(&history) {
        recovered &= recovery.after.is_none_or(|after| after < 5_000_000_000);
        let slot = longest.entry(recovery.fault).or_default();
        *slot = recovery.after.unwrap_or(0).max(*slot);
    }
    let mut faults: HashMap<&str, usize> = HashMap::new();
    for fault in &history.faults {
        *faults.entry(&fault.name).or_default() += 1;
    }
    for violation in report.violations.iter().take(10) {
        println!("{violation}");
    }
    println!(
        "{version}: {} operations on {} sessions, {} open, {} failed; {} faults; {} violations, {} undecided",
        report.operations,
        report.lineages,
        report.open,
        report.failed,
        history.faults.len(),
        report.violations.len(),
        report.undecided,
    );
    for (fault, after) in longest {
        let times = faults.get(fault.as_str()).copied().unwrap_or(0);
        println!(
            "  {fault}: {times} times, works again after {:.3} s at the most",
            after as f64 / 1e9
        );
    }
    if !recovered {
        println!("it took more than 5 s until the store worked again");
    }
    Ok(report.violations.is_empty() && report.undecided == 0 && recovered)
}
