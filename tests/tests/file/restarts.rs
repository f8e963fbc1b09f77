//! A process that is killed again and again.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use session_file::Durability;
use session_tests::files::Call;

use crate::support::prepared;

#[test]
fn a_process_that_is_killed_again_and_again_loses_nothing_it_acknowledged() {
    let (_dir, place) = prepared(Call::Regenerate, Durability::Process);
    let mut last = 0;
    for round in 0..100 {
        let mut child = Command::new(env!("CARGO_BIN_EXE_file_call"))
            .arg(&place.path)
            .args(["process", "count"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let numbers = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut numbers = numbers.map(|number| number.parse::<u64>().unwrap());
        let first = numbers.next().unwrap();
        // One save may have been on its way when the process was killed.
        assert!((last + 1..=last + 2).contains(&first), "round {round}: {first} after {last}");
        last = first;
        for _ in 0..fastrand::usize(..50) {
            last = numbers.next().unwrap();
        }
        child.kill().unwrap();
        // What it still managed to say was acknowledged too.
        last = numbers.last().unwrap_or(last);
        child.wait().unwrap();
    }
    println!("figure: processes killed while they counted: 100, numbers acknowledged: {last}");
}
