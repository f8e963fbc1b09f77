//! The process that makes the call.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use session_core::ErrorKind;
use session_file::Durability;

use super::{Answer, Call, Place};

/// A process that is about to make a call, on one thread. Ended when dropped.
#[derive(Debug)]
pub struct Driver {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    thread: u32,
}

impl Driver {
    /// Starts the program and waits until it is ready.
    ///
    /// # Panics
    ///
    /// If the program cannot be run or does not get ready.
    #[must_use]
    pub fn start(program: impl AsRef<Path>, place: &Place, call: Call) -> Self {
        let durability = if place.durability == Durability::Full { "full" } else { "process" };
        let mut child = Command::new(program.as_ref())
            .arg(&place.path)
            .args([durability, call.name()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let stdin = child.stdin.take();
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line");
        let thread = line.trim_end().strip_prefix("ready ").and_then(|id| id.parse().ok());
        let thread = thread.unwrap_or_else(|| panic!("the driver says {line:?}"));
        Self { child, stdin, stdout, thread }
    }

    /// Returns the thread that works on the disk.
    #[must_use]
    pub const fn thread(&self) -> u32 {
        self.thread
    }

    /// Has the call made, and waits for the answer or the end of the process.
    ///
    /// # Panics
    ///
    /// If the process says anything else, a panic for example.
    pub fn go(&mut self) -> Option<Answer> {
        let stdin = self.stdin.as_mut().expect("not finished");
        // It may have been killed already.
        let _ = stdin.write_all(b"go\n");
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("a line");
        if line.is_empty() {
            return None;
        }
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            ["done"] => Some(Answer::Done),
            ["refused", kind, in_doubt] => {
                if in_doubt == "true" {
                    return Some(Answer::InDoubt);
                }
                let kinds = [
                    ErrorKind::Unavailable,
                    ErrorKind::Timeout,
                    ErrorKind::Conflict,
                    ErrorKind::AlreadyExists,
                    ErrorKind::Gone,
                    ErrorKind::StorageFull,
                    ErrorKind::PermissionDenied,
                    ErrorKind::Corrupt,
                    ErrorKind::Internal,
                    ErrorKind::InvalidConfig,
                    ErrorKind::TooLarge,
                ];
                let kind = kinds.into_iter().find(|known| known.as_str() == kind);
                Some(Answer::Refused(kind.unwrap_or_else(|| panic!("{line}"))))
            }
            _ => panic!("the driver says {line:?}"),
        }
    }

    /// Lets the process end by itself. Returns whether it did so in good order.
    ///
    /// # Panics
    ///
    /// If the process has been waited for already.
    pub fn finish(&mut self) -> bool {
        drop(self.stdin.take());
        let mut rest = String::new();
        let _ = self.stdout.read_to_string(&mut rest);
        self.child.wait().expect("the child is ours").success()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
