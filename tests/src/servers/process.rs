//! A server as a child process.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::clock;
use super::wait::PATIENCE;
use super::{Error, Result};

/// A server as a child process, with all that is needed to run it again.
///
/// It ends when this is dropped, and when the process of the test ends.
#[derive(Debug)]
pub struct Process {
    words: Vec<OsString>,
    /// What a clock needs, as `NAME=VALUE`.
    environment: Vec<OsString>,
    log: PathBuf,
    child: Mutex<Option<Child>>,
}

impl Process {
    /// Makes a process that does not run yet, from the words of its command, the
    /// environment of its clock if it has one, and the file that takes its output.
    pub(super) const fn new(
        words: Vec<OsString>,
        environment: Vec<OsString>,
        log: PathBuf,
    ) -> Self {
        Self { words, environment, log, child: Mutex::new(None) }
    }

    /// Starts it and asks `ready` until it answers.
    pub(super) async fn start(&self, mut ready: impl AsyncFnMut() -> Result<()>) -> Result<()> {
        self.spawn()?;
        let begin = Instant::now();
        loop {
            let answer = tokio::time::timeout(Duration::from_secs(5), ready()).await;
            let reason: Error = match answer {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(err)) => err,
                Err(_) => "it does not answer".into(),
            };
            if let Some(status) = self.exited()? {
                return Err(self.explain(&format!("it has ended with {status}")));
            }
            if begin.elapsed() > PATIENCE {
                self.kill();
                return Err(self.explain(&format!("not ready in time: {reason}")));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn spawn(&self) -> Result<()> {
        let mut child = self.child();
        if child.is_some() {
            return Err("the server runs already".into());
        }
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = Command::new("setpriv");
        // With a clock it has files to remove, and ends by itself.
        let end = if self.has_clock() { "TERM" } else { "KILL" };
        command
            .args(["--pdeathsig", end])
            // What is preloaded into the server may not fit to setpriv.
            .arg("env")
            .args(&self.environment)
            .args(&self.words)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        *child = Some(spawn(command).map_err(|err| format!("cannot run setpriv: {err}"))?);
        Ok(())
    }

    /// Returns the id of the process, or `None` if it does not run.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child().as_ref().map(Child::id)
    }

    /// Ends it without a warning, as `kill -9` does, and waits until it is gone.
    /// Does nothing if it does not run.
    pub fn kill(&self) {
        if let Some(mut child) = self.child().take() {
            // It may have ended by itself.
            drop(child.kill());
            drop(child.wait());
            if self.has_clock() {
                clock::forget(child.id());
            }
        }
    }

    /// Stops it in the middle of whatever it does: it keeps its connections and
    /// answers nothing.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
        // The system stops one thread after the other.
        while self.id().is_some_and(is_at_work) {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Lets it go on after [`stop`](Self::stop).
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Errors
    ///
    /// If it does not end in time; then it is killed.
    pub async fn shutdown(&self) -> Result<()> {
        self.signal(Signal::TERM);
        let begin = Instant::now();
        while self.exited()?.is_none() {
            if begin.elapsed() > PATIENCE {
                self.kill();
                return Err(self.explain("it does not end"));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// Returns what it has written to its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    const fn has_clock(&self) -> bool {
        !self.environment.is_empty()
    }

    fn signal(&self, signal: Signal) {
        let child = self.child();
        let child = child.as_ref().expect("the server runs");
        // It may have ended by itself.
        let _ = kill_process(Pid::from_child(child), signal);
    }

    /// Returns how it has ended, or `None` if it runs.
    fn exited(&self) -> io::Result<Option<ExitStatus>> {
        let mut child = self.child();
        let Some(running) = child.as_mut() else { return Ok(Some(ExitStatus::default())) };
        let status = running.try_wait()?;
        if status.is_some() {
            *child = None;
        }
        Ok(status)
    }

    fn explain(&self, what: &str) -> Error {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        let end = lines[lines.len().saturating_sub(20)..].join("\n  ");
        format!("{what}; the end of its log:\n  {end}").into()
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

type Order = (Command, Sender<io::Result<Child>>);

/// Starts a child from the one thread that lives as long as the process: the
/// kernel kills a child with the *thread* that started it.
fn spawn(command: Command) -> io::Result<Child> {
    static ORDERS: LazyLock<Sender<Order>> = LazyLock::new(|| {
        let (orders, taken) = channel::<Order>();
        thread::spawn(move || {
            for (mut command, answer) in taken {
                drop(answer.send(command.spawn()));
            }
        });
        orders
    });
    let (answer, child) = channel();
    ORDERS.send((command, answer)).expect("the thread never ends");
    child.recv().expect("the thread never ends")
}

/// Returns whether any thread of a process still runs or sleeps, and is neither stopped
/// nor gone.
fn is_at_work(id: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{id}/task")) else { return false };
    threads.flatten().any(|thread| {
        // Its state follows its name, which is in parentheses and may hold any.
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
        state.is_some_and(|state| !"TtZX".contains(state))
    })
}
