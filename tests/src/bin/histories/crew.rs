//! Workers in several processes on one store.

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rustix::process::Signal;
use session_tests::history::Recorder;
use session_tests::workload::{Known, Readings, final_readings};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::Failure;
use crate::child::{self, Here, from_text, to_text};
use crate::options::Options;
use crate::report::LAST_READER;
use crate::scene::{Scene, signal, torment};
use crate::store::Store;

/// How long the processes may take to come to their end, with what they ask at last.
const ENDING: Duration = Duration::from_secs(120);

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
    store: &'a mut Store,
    processes: Vec<Process>,
    /// Which one is broken.
    broken: usize,
    started: u32,
    all: Vec<Known>,
    sender: UnboundedSender<(u32, String)>,
    said: UnboundedReceiver<(u32, String)>,
}

pub(crate) async fn run(
    options: &Options,
    store: &mut Store,
    recorder: &Recorder,
) -> Result<Readings, Failure> {
    let (sender, said) = unbounded_channel();
    let (processes, all) = (Vec::new(), Vec::new());
    let mut crew = Crew { options, store, processes, broken: 0, started: 0, all, sender, said };
    crew.fill().await?;
    torment(&mut crew, options, recorder).await?;
    crew.end().await?;
    let uri = crew.store.uri(options);
    let here = Here::open(options, &uri, 0, recorder.clone(), Arc::new(|_: &Known| {})).await?;
    Ok(final_readings(&here.direct, recorder, LAST_READER, &crew.all).await)
}

impl Crew<'_> {
    /// Starts as many processes as are missing.
    async fn fill(&mut self) -> Result<(), Failure> {
        while self.processes.len() < self.options.processes as usize {
            self.start_one().await?;
        }
        Ok(())
    }

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
        input.write_all(format!("{}\n", self.store.uri(options)).as_bytes()).await?;
        for known in self.all.iter().rev().take(RECENT) {
            input.write_all(format!("{}\n", to_text(known)).as_bytes()).await?;
        }
        let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
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

    fn signal(&self, at: usize, to_send: Signal) {
        signal(self.processes[at].child.id(), to_send);
    }

    async fn kill(&mut self, at: usize) -> Result<(), Failure> {
        self.signal(at, Signal::KILL);
        self.processes.swap_remove(at).child.wait().await?;
        Ok(())
    }

    async fn end(&mut self) -> Result<(), Failure> {
        self.tell("stop", 0).await;
        let mut done = 0;
        let limit = tokio::time::Instant::now() + ENDING;
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

#[async_trait(?Send)]
impl Scene for Crew<'_> {
    /// Passes on what is said.
    async fn pass(&mut self, until: Instant) {
        while let Ok(Some((from, line))) =
            tokio::time::timeout_at(until.into(), self.said.recv()).await
        {
            if let Some(known) = from_text(&line) {
                self.all.push(known);
                self.tell(&line, from).await;
            }
        }
    }

    async fn fault(&mut self, name: &str, random: &mut fastrand::Rng) -> Result<(), Failure> {
        self.broken = random.usize(..self.processes.len());
        match name {
            "kill-client" => self.kill(self.broken).await?,
            "stop-client" => self.signal(self.broken, Signal::STOP),
            "power" => {
                while !self.processes.is_empty() {
                    self.kill(0).await?;
                }
                self.store.lose_power()?;
            }
            _ if child::NEMESES.contains(&name) => self.tell(&format!("fault {name}"), 0).await,
            _ => self.store.fault(name, random).await?,
        }
        Ok(())
    }

    async fn heal(&mut self, name: &str) -> Result<(), Failure> {
        match name {
            "kill-client" | "power" => self.fill().await?,
            "stop-client" => self.signal(self.broken, Signal::CONT),
            _ if child::NEMESES.contains(&name) => self.tell("heal", 0).await,
            _ => self.store.heal(name).await?,
        }
        Ok(())
    }
}
