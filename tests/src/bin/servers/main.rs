//! Starts the servers that tests share, and runs a command with their URIs.

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use futures_util::future::join_all;
use rustix::process::{Pid, kill_process};
use session_tests::servers::programs::{self, Program};
use session_tests::servers::{Result, Running, Shared};
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What `--help` prints.
const HELP: &str = "\
Starts the servers that the tests share, and runs a command with their URIs in its environment.

usage: servers [COMMAND [ARGUMENT...]]

Without a command it prints the URIs as lines for a shell, and waits until it is ended.
A server whose variable is set already is used and not started. Programs that are missing
are fetched into target/servers, or into the folder that SESSION_TEST_PROGRAMS names.
";

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<_> = env::args_os().skip(1).collect();
    if words.first().is_some_and(|word| word == "--help") {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    match serve(&words).await {
        Ok(code) => code,
        Err(err) => {
            eprintln!("servers: {err}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(words: &[OsString]) -> Result<ExitCode> {
    let mut ends = Ends::new()?;
    let (servers, missing) = tokio::select! {
        started = start() => started,
        () = ends.next() => return Err("ended before all servers had started".into()),
    };
    let variables: Vec<_> = servers.iter().map(|(which, url, _)| (which.variable(), url)).collect();
    let code = if let [program, arguments @ ..] = words {
        // What tests that are killed leave behind goes with it.
        let temporary = tempfile::tempdir()?;
        let mut command = Command::new(program);
        // What cargo says to a program that it runs. If a cargo below heard it, it would
        // build those crates anew that look at it.
        for (name, _) in env::vars_os() {
            let words = name.as_encoded_bytes();
            if words.starts_with(b"CARGO_PKG_") || words.starts_with(b"CARGO_MANIFEST_") {
                command.env_remove(name);
            }
        }
        let mut child = command
            .args(arguments)
            .envs(variables)
            .env("TMPDIR", temporary.path())
            .env("SESSION_TEST_PROGRAMS", programs::folder()?)
            .kill_on_drop(true)
            .spawn()
            .map_err(|err| format!("cannot run {}: {err}", program.display()))?;
        wait(&mut child, &mut ends).await?
    } else {
        for (name, url) in variables {
            println!("export {name}='{url}'");
        }
        ends.next().await;
        0
    };
    drop(servers);
    if missing > 0 {
        eprintln!("servers: {missing} of the servers could not be had, so this run has failed");
        return Ok(ExitCode::from(if code == 0 { 1 } else { code }));
    }
    Ok(ExitCode::from(code))
}

/// Waits until the command ends, and hands it the signals that would end us.
async fn wait(child: &mut Child, ends: &mut Ends) -> Result<u8> {
    loop {
        tokio::select! {
            status = child.wait() => {
                // Without a code it was ended by a signal.
                let code = status?.code().unwrap_or(1);
                return Ok(u8::try_from(code).unwrap_or(1));
            }
            () = ends.next() => {
                if let Some(pid) = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)) {
                    // It may have ended by itself.
                    let _ = kill_process(pid, rustix::process::Signal::TERM);
                }
            }
        }
    }
}

/// Starts all servers that do not run yet, and returns them with their URIs,
/// and how many could not be started.
async fn start() -> (Vec<(Shared, String, Option<Running>)>, usize) {
    // One after the other, as they share apt's folders.
    let fetched = tokio::task::spawn_blocking(|| {
        // Whoever needs it says what is wrong.
        for program in Program::ALL {
            drop(program.install());
        }
    });
    drop(fetched.await);
    let started = join_all(Shared::ALL.map(|which| async move { (which, run(which).await) })).await;
    let (mut servers, mut missing) = (Vec::new(), 0);
    for (which, result) in started {
        match result {
            Ok((url, text, running)) => {
                eprintln!("{}: {text}", which.variable());
                servers.push((which, url, running));
            }
            Err(err) => {
                eprintln!("{}: {err}", which.variable());
                missing += 1;
            }
        }
    }
    (servers, missing)
}

async fn run(which: Shared) -> Result<(String, String, Option<Running>)> {
    if let Ok(url) = env::var(which.variable()) {
        return Ok((url, "runs already".into(), None));
    }
    let running = which.start().await?;
    let (url, text) = (running.url(), running.version().await?);
    Ok((url, text, Some(running)))
}

/// The signals that end this program.
struct Ends {
    interrupt: Signal,
    terminate: Signal,
}

impl Ends {
    fn new() -> Result<Self> {
        let of = |kind| signal(kind);
        Ok(Self {
            interrupt: of(SignalKind::interrupt())?,
            terminate: of(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
