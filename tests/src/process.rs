//! The probe application as a child process.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// A running probe. Ended when it is dropped; if that is because a test fails,
/// what it wrote to standard error is shown.
#[derive(Debug)]
pub struct Probe {
    child: Child,
    address: SocketAddr,
    stderr: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Probe {
    /// Starts `program` on a free port and waits until it listens.
    ///
    /// # Errors
    ///
    /// How it exited and what it wrote to standard error, if it does not listen.
    ///
    /// # Panics
    ///
    /// If the program cannot be run at all.
    pub fn start(program: &str, args: &[&str]) -> Result<Self, (ExitStatus, String)> {
        let mut child = Command::new(program)
            .args(["--listen", "127.0.0.1:0"])
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|err| panic!("cannot run {program}: {err}"));
        let stderr = Arc::new(Mutex::new(String::new()));
        let reader = child.stderr.take().map(|pipe| collect(pipe, Arc::clone(&stderr)));
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            drop(BufReader::new(stdout).read_line(&mut line));
        }
        let address = line.trim_end().strip_prefix("listening on http://");
        if let Some(address) = address.and_then(|address| address.parse().ok()) {
            return Ok(Self { child, address, stderr, reader });
        }
        if !line.is_empty() {
            drop(child.kill());
        }
        // Else it has closed its output, because it is about to end by itself.
        let status = child.wait().expect("the child is ours");
        drop(reader.map(JoinHandle::join));
        let text = stderr.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Err((status, line + &text))
    }

    /// Returns where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the id of the process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it without a warning, as `kill -9` does.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
        drop(self.reader.take().map(JoinHandle::join));
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.kill();
        let stderr = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        if std::thread::panicking() && !stderr.is_empty() {
            eprintln!("--- standard error of the probe at {} ---\n{stderr}", self.address);
        }
    }
}

fn collect(mut pipe: impl Read + Send + 'static, into: Arc<Mutex<String>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut text = Vec::new();
        drop(pipe.read_to_end(&mut text));
        let mut into = into.lock().unwrap_or_else(PoisonError::into_inner);
        into.push_str(&String::from_utf8_lossy(&text));
    })
}
