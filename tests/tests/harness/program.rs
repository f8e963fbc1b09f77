//! The program that starts the servers for a whole run.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use session_tests::servers::Shared;

/// Returns the program, with other servers than Redis running already as far as it knows.
fn servers() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_servers"));
    for shared in Shared::ALL {
        command.env(shared.variable(), "unused:");
    }
    command.env_remove(Shared::Redis.variable());
    command
}

/// Starts it without a command, and returns where its Redis listens.
fn waiting() -> (Child, String) {
    let mut child = servers().stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().take(Shared::ALL.len());
    let lines: Vec<_> = lines.map(Result::unwrap).collect();
    let line = lines.iter().find(|line| line.contains(Shared::Redis.variable())).unwrap();
    let (_, address) = line.split_once("redis://").unwrap();
    (child, address.trim_end_matches("/0'").to_owned())
}

#[test]
fn the_command_gets_the_uris_and_its_code_is_handed_on() {
    let script = "echo $SESSION_TEST_REDIS_URL $SESSION_TEST_VALKEY_URL; exit 7";
    let output = servers().args(["sh", "-c", script]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("redis://127.0.0.1:") && text.ends_with(" unused:\n"), "{text}");
    assert_eq!(output.status.code(), Some(7));
}

#[test]
fn its_servers_end_when_it_is_asked_to_end() {
    let (mut child, address) = waiting();
    TcpStream::connect(&address).unwrap();
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
    TcpStream::connect(&address).unwrap_err();
}

#[test]
fn its_servers_end_when_it_is_killed() {
    let (mut child, address) = waiting();
    TcpStream::connect(&address).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let begin = Instant::now();
    while TcpStream::connect(&address).is_ok() {
        assert!(begin.elapsed() < Duration::from_secs(20), "the server has outlived us");
        std::thread::yield_now();
    }
}

#[test]
fn a_server_that_cannot_be_had_fails_the_run_and_the_others_still_run() {
    // A folder that cannot be made.
    let output = servers()
        .env("SESSION_TEST_PROGRAMS", "/proc/none")
        .args(["sh", "-c", "echo $SESSION_TEST_VALKEY_URL"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "unused:\n");
    let text = String::from_utf8(output.stderr).unwrap();
    let line = "SESSION_TEST_REDIS_URL: Redis cannot be had: ";
    assert!(text.lines().any(|said| said.starts_with(line)), "{text}");
    assert_eq!(output.status.code(), Some(1));
}
