//! A disk that does not answer.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use session_file::Durability;
use session_tests::files::{Call, Strace};

use crate::support::prepared;

/// Every flush takes a minute. What needs none goes on, and a request that
/// does is told at its deadline.
#[test]
fn a_disk_that_hangs_holds_up_nobody_who_does_not_need_it() {
    let (dir, place) = prepared(Call::Regenerate, Durability::Full);
    let mut child = Command::new(env!("CARGO_BIN_EXE_file_call"))
        .arg(&place.path)
        .args(["full", "hung"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(stdout.next().unwrap().starts_with("ready"));
    let faults = ["fsync,fdatasync:delay_enter=60s".to_owned()];
    let strace = Strace::attach_all(child.id(), &faults, &dir.path().join("log"));
    writeln!(child.stdin.take().unwrap(), "go").unwrap();

    assert_eq!(stdout.next().unwrap(), "written: timeout, may have happened: true");
    assert_eq!(stdout.next().unwrap(), "sessions read meanwhile: 100 of 100");
    // Without strace the disk answers at last.
    drop(strace);
    child.wait().unwrap();
}
