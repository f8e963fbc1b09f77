//! Checks `scenarios.tsv` against the tests that are built and what came of them, and
//! counts its rows.
//!
//!     cargo test --workspace --all-features 2>&1 | tee log
//!     cargo run -p session-tests --bin scenarios -- log
//!
//! Builds all tests as `cargo test --workspace --all-features` does and asks each
//! program which tests it has. Each test of the table has to be there, and in the log
//! to have passed, if it is not marked `long:`. Without a log only the former is
//! checked. A row of tier A or B needs tests that every run runs. The counts, and the
//! rows of tier A that no test holds, have to stand in `ROBUSTNESS.md`.

#![allow(clippy::unwrap_used, reason = "a check fails by panicking")]

mod built;
mod log;
mod page;
mod rows;

use std::process::ExitCode;

use crate::built::Built;
use crate::rows::{Row, sections};

fn main() -> ExitCode {
    let log = std::env::args().nth(1).map(|path| std::fs::read_to_string(path).unwrap());
    let built = Built::ask(log.as_deref());
    let sections = sections();
    let mut wrong = Vec::new();
    for row in sections.iter().flat_map(|(_, rows)| rows) {
        wrong.extend(check(row, &built).into_iter().map(|what| format!("{}: {what}", row.id)));
    }
    let counts = page::counts(&sections);
    print!("{counts}");
    wrong.extend(page::check(&counts, &sections, &built));
    if log.is_none() {
        println!("\nWithout a log of the tests it is not known whether they ran.");
    }
    wrong.iter().for_each(|wrong| eprintln!("{wrong}"));
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Returns what is wrong with the tests of a row.
fn check(row: &Row, built: &Built) -> Vec<String> {
    let mut wrong: Vec<_> =
        row.tests.iter().filter_map(|test| built.fault(test.name, test.long).err()).collect();
    if row.tier != "C" && !row.tests.is_empty() && row.tests.iter().all(|test| test.long) {
        wrong.push("all its tests are left out of every run".into());
    }
    wrong
}
