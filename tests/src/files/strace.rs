//! Faults at system calls, injected into one thread of a process.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

/// What a thread calls that has nothing to do with files.
const OTHERS: [&str; 10] = [
    "restart_syscall",
    "futex",
    "sigaltstack",
    "mmap",
    "munmap",
    "brk",
    "rt_sigprocmask",
    "madvise",
    "sched_yield",
    "exit",
];

/// What changes a disk or what is known to be on it.
const CHANGES: [&str; 10] = [
    "mkdir",
    "chmod",
    "fchmod",
    "write",
    "pwrite",
    "ftruncate",
    "rename",
    "unlink",
    "fsync",
    "fdatasync",
];

/// One system call of a thread: its name, and which of that name it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemCall {
    /// As strace writes it.
    pub name: String,
    /// Counted from one.
    pub nth: usize,
    /// Whether it changes a disk, or has changes reach it.
    pub changes: bool,
    /// Whether the name that it was about was missing.
    missed: bool,
}

impl SystemCall {
    /// Returns the system calls on files in a log, in their order. Of many
    /// misses in a row, as of a walk over directories that are not there, the
    /// first is enough.
    ///
    /// strace counts each name for itself, so a fault is aimed at the n-th
    /// `fsync`, say, and not at the n-th of all.
    #[must_use]
    pub fn all_in(log: &str) -> Vec<Self> {
        let mut counts = HashMap::new();
        let mut calls: Vec<Self> = Vec::new();
        for line in log.lines() {
            let Some((name, rest)) = line.split_once('(') else { continue };
            let is_name = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            if name.is_empty() || OTHERS.contains(&name) || !name.bytes().all(is_name) {
                continue;
            }
            let nth = counts.entry(name).or_insert(0);
            *nth += 1;
            let missed = rest.contains("= -1 ENOENT");
            let changes = !missed
                && (CHANGES.iter().any(|change| name.starts_with(change))
                    || rest.contains("O_CREAT"));
            let call = Self { name: name.to_owned(), nth: *nth, changes, missed };
            if !(missed && calls.last().is_some_and(|last| last.missed && last.name == name)) {
                calls.push(call);
            }
        }
        calls
    }

    /// Returns a fault at this call, as `strace -e inject=` takes it.
    #[must_use]
    pub fn with(&self, what: &str) -> String {
        format!("{}:{what}:when={}", self.name, self.nth)
    }

    /// Returns whether a real system can refuse it. `close` frees the file
    /// whatever it answers, and strace would leave it out.
    #[must_use]
    pub fn can_fail(&self) -> bool {
        !matches!(&*self.name, "close" | "fcntl" | "geteuid")
    }
}

/// An `strace` that is attached to a thread and injects faults into it.
#[derive(Debug)]
pub struct Strace {
    child: Child,
    log: PathBuf,
    reader: Option<JoinHandle<()>>,
}

impl Strace {
    /// Attaches to a thread. Each fault is what `strace -e inject=` takes.
    ///
    /// # Panics
    ///
    /// If strace is not installed or may not attach.
    #[must_use]
    pub fn attach(thread: u32, faults: &[String], log: &Path) -> Self {
        Self::run(Command::new("strace"), thread, faults, log)
    }

    /// Attaches to all threads of a process, and to those that it makes later.
    ///
    /// # Panics
    ///
    /// If strace is not installed or may not attach.
    #[must_use]
    pub fn attach_all(process: u32, faults: &[String], log: &Path) -> Self {
        let mut command = Command::new("strace");
        command.arg("-f");
        Self::run(command, process, faults, log)
    }

    fn run(mut command: Command, id: u32, faults: &[String], log: &Path) -> Self {
        for fault in faults {
            command.arg("-e").arg(format!("inject={fault}"));
        }
        let mut child = command
            .arg("-o")
            .arg(log)
            .args(["-p", &id.to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("strace is installed");
        let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut line = String::new();
        stderr.read_line(&mut line).expect("a line");
        assert!(line.contains("attached"), "strace says: {line}");
        // What it says at the end is of no interest, but must not block it.
        let reader = std::thread::spawn(move || drop(stderr.read_to_end(&mut Vec::new())));
        Self { child, log: log.to_owned(), reader: Some(reader) }
    }

    /// Waits until the thread has ended, and returns the log.
    ///
    /// # Panics
    ///
    /// If there is no log.
    #[must_use]
    pub fn finish(mut self) -> String {
        drop(self.child.wait());
        drop(self.reader.take().map(JoinHandle::join));
        fs::read_to_string(&self.log).expect("strace writes a log")
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
