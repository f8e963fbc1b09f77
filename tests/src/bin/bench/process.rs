//! Processes: where they run, what they have used, and how they end.

use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::thread::CpuSet;
use rustix::time::{ClockId, clock_gettime};

use crate::Failure;
use crate::contender::Contender;

/// Keeps this thread, and those it will make, on one CPU.
pub(crate) fn stay_on(cpu: usize) -> io::Result<()> {
    let mut cpus = CpuSet::new();
    cpus.set(cpu);
    Ok(rustix::thread::sched_setaffinity(None, &cpus)?)
}

/// Returns the last CPU, for the load; the servers get the first.
pub(crate) fn last_cpu() -> usize {
    std::thread::available_parallelism().map_or(0, |cpus| cpus.get() - 1)
}

/// Returns the CPU time that this process has used, all threads together.
pub(crate) fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Returns the memory that this process occupies, in KiB.
pub(crate) fn rss_kib() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()).ok_or("no VmRSS")?;
    Ok(number.parse()?)
}

/// A server in a process of its own, which ends when this is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) addr: SocketAddr,
}

impl Server {
    /// Starts a server. `wrapper` is a command that runs it, such as valgrind.
    pub(crate) fn start(
        contender: Contender,
        dir: &Path,
        cpu: Option<usize>,
        wrapper: &[&str],
    ) -> Result<Self, Failure> {
        let program = contender.program()?;
        let mut command = match wrapper {
            [] => Command::new(program),
            [name, arguments @ ..] => {
                let mut command = Command::new(name);
                command.args(arguments).arg(program);
                command
            }
        };
        command.args(["serve", &contender.name(), "--dir"]).arg(dir);
        if let Some(cpu) = cpu {
            command.args(["--cpu", &cpu.to_string()]);
        }
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        match line.trim().parse() {
            Ok(addr) => Ok(Self { child, addr }),
            Err(_) => {
                child.kill()?;
                child.wait()?;
                Err(format!("the server {} did not start", contender.name()).into())
            }
        }
    }

    pub(crate) fn pid(&self) -> nix::unistd::Pid {
        nix::unistd::Pid::from_raw(rustix::process::Pid::from_child(&self.child).as_raw_pid())
    }

    /// Asks the process to end, and waits until it has.
    pub(crate) fn end(mut self) -> Result<(), Failure> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
