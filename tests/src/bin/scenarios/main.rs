//! Checks `scenarios.tsv` against the tests that are built, and counts its rows.
//!
//!     cargo run -p session-tests --bin scenarios
//!
//! Builds all tests as `cargo test --workspace --all-features` does and asks each
//! program which tests it has. A row of tier A or B needs tests that every run
//! runs; those of tier C may be left to be asked for.

#![allow(clippy::unwrap_used, reason = "a check fails by panicking")]

use std::collections::BTreeMap;
use std::process::{Command, ExitCode, Stdio};

use serde_json::Value;

const TABLE: &str = include_str!("../../../scenarios.tsv");

/// Whether each test, by its full name, is left out of an ordinary run.
type Tests = BTreeMap<String, bool>;

fn main() -> ExitCode {
    let tests = tests();
    let mut wrong = Vec::new();
    let mut counts = Vec::new();
    for line in TABLE.lines() {
        if let Some(section) = line.strip_prefix("## ") {
            counts.push((section, [0; 4]));
            continue;
        }
        let fields: Vec<_> = line.split('\t').collect();
        let [id, tier, _, names, ..] = fields[..] else { continue };
        let (_, count) = counts.last_mut().unwrap();
        if names == "-" {
            count[3] += 1;
            continue;
        }
        count[usize::from(tier.as_bytes()[0] - b'A')] += 1;
        for name in names.split(' ') {
            match is_left_out(&tests, name) {
                None => wrong.push(format!("{id}: there is no test {name}")),
                Some(true) if tier != "C" && names.split(' ').count() == 1 => {
                    wrong.push(format!("{id}: {name} is left out of every run"));
                }
                Some(_) => {}
            }
        }
    }
    println!(
        "| Section | A | B | C | Left out, with the reason |\n| --- | --- | --- | --- | --- |"
    );
    for (section, [a, b, c, out]) in counts {
        println!("| {section} | {a} | {b} | {c} | {out} |");
    }
    wrong.iter().for_each(|wrong| eprintln!("{wrong}"));
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Finds a test, or those on every store that a case has become.
fn is_left_out(tests: &Tests, name: &str) -> Option<bool> {
    let own = |(known, _): &(&String, &bool)| {
        known.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    tests.iter().filter(own).map(|(_, ignored)| *ignored).reduce(|one, other| one && other)
}

/// Builds all tests and asks for their names.
fn tests() -> Tests {
    let output = Command::new("cargo")
        .args(["test", "--workspace", "--all-features", "--no-run", "--message-format=json"])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "the tests do not build");
    let mut tests = Tests::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let message: Value = serde_json::from_str(line).unwrap();
        let Some(program) = message["executable"].as_str() else { continue };
        if message["profile"]["test"] != true {
            continue;
        }
        let manifest = message["manifest_path"].as_str().unwrap();
        let package = package(manifest);
        let kind = message["target"]["kind"][0].as_str().unwrap();
        let target =
            if kind == "lib" { "lib" } else { message["target"]["name"].as_str().unwrap() };
        for ignored in [false, true] {
            for name in names(program, ignored) {
                tests.insert(format!("{package}::{target}::{name}"), ignored);
            }
        }
    }
    tests
}

/// Returns the name of the package that a manifest describes.
fn package(manifest: &str) -> String {
    let text = std::fs::read_to_string(manifest).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("name = ")).unwrap();
    line.trim_matches('"').to_owned()
}

/// Asks a test program for its tests: all of them, or those to be asked for.
fn names(program: &str, ignored: bool) -> Vec<String> {
    let mut command = Command::new(program);
    command.arg("--list");
    if ignored {
        command.arg("--ignored");
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().filter_map(|line| line.strip_suffix(": test").map(str::to_owned)).collect()
}
