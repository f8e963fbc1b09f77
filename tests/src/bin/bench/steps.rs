//! User-space instructions per request, as this CPU takes them, one by one.
//!
//! callgrind shows programs a CPU of its own, without the SHA instructions that hash
//! ids here. Single steps are slow and miss nothing.

use std::path::Path;
use std::thread;

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use tokio::sync::oneshot;

use crate::Failure;
use crate::client::Client;
use crate::contender::{Contender, Operation};
use crate::process::{self, Server};

/// Requests before any is counted, so that caches and pools are as they stay.
const WARM: u32 = 100;
const COUNTED: u32 = 10;
/// Where server and tracer run: to wake each other on one CPU takes least.
const CPU: usize = 0;
/// Ends the server when the last request was answered.
const END: Signal = Signal::SIGTERM;

/// Counts the instructions of a request, on one connection, one after the other.
pub(crate) async fn count(
    contender: Contender,
    operation: Operation,
    dir: &Path,
) -> Result<u64, Failure> {
    let server = Server::start(contender, dir, Some(CPU), &[])?;
    let mut client = Client::connect(server.addr).await?;
    let request = client.prepare(operation).await?;
    for _ in 0..WARM {
        client.ask(&request).await?;
    }
    let pid = server.pid();
    let (seized, begun) = oneshot::channel();
    // One thread for all of it: only who has seized a thread can let it go on.
    let counter = thread::spawn(move || {
        process::stay_on(CPU)?;
        seize(pid)?;
        seized.send(()).map_err(|()| "the requests were given up")?;
        step()
    });
    if begun.await.is_ok() {
        for _ in 0..COUNTED {
            client.ask(&request).await?;
        }
        kill(pid, END)?;
    }
    let steps = counter.join().map_err(|_| "the thread that counts steps panicked")??;
    server.end()?;
    Ok(steps / u64::from(COUNTED))
}

/// Stops every thread of a process, and those that it will make.
fn seize(pid: Pid) -> Result<(), Failure> {
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let name = task?.file_name();
        let thread = Pid::from_raw(name.to_string_lossy().parse()?);
        ptrace::seize(thread, Options::PTRACE_O_TRACECLONE)?;
        ptrace::interrupt(thread)?;
    }
    Ok(())
}

/// Lets every thread take a step at a time, until the server is to end.
fn step() -> Result<u64, Failure> {
    let mut steps = 0;
    loop {
        let (thread, signal) = match waitpid(None, Some(WaitPidFlag::__WALL))? {
            WaitStatus::Stopped(thread, Signal::SIGTRAP) => {
                steps += 1;
                (thread, None)
            }
            WaitStatus::Stopped(_, END) => return Ok(steps),
            WaitStatus::Stopped(thread, signal) => (thread, Some(signal)),
            WaitStatus::PtraceEvent(thread, ..) => (thread, None),
            _ => continue,
        };
        match ptrace::step(thread, signal) {
            // Threads may end.
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(err) => return Err(err.into()),
        }
    }
}
