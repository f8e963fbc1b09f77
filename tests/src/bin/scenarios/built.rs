//! The tests that are built.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::log;

/// What is known of a test.
struct Test {
    /// Whether it is left out of an ordinary run.
    ignored: bool,
    /// Whether it passed.
    passed: bool,
}

/// All tests, by their full names.
pub(crate) struct Built {
    tests: BTreeMap<String, Test>,
    /// Which of them a log says have passed, by program and name; `None` without a log.
    passed: Option<BTreeSet<(String, String)>>,
}

impl Built {
    /// Builds all tests and asks for their names, and a log which of them passed.
    pub(crate) fn ask(log: Option<&str>) -> Self {
        let log = log.map(log::passed);
        let passed = log.clone().unwrap_or_default();
        let output = Command::new("cargo")
            .args(["test", "--workspace", "--all-features", "--no-run", "--message-format=json"])
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(output.status.success(), "the tests do not build");
        let mut tests = BTreeMap::new();
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            let message: Value = serde_json::from_str(line).unwrap();
            let Some(program) = message["executable"].as_str() else { continue };
            if message["profile"]["test"] != true {
                continue;
            }
            let package = package(message["manifest_path"].as_str().unwrap());
            let kind = message["target"]["kind"][0].as_str().unwrap();
            let target =
                if kind == "lib" { "lib" } else { message["target"]["name"].as_str().unwrap() };
            let file = Path::new(program).file_name().unwrap().to_str().unwrap();
            for ignored in [false, true] {
                for name in names(program, ignored) {
                    let passed = passed.contains(&(file.to_owned(), name.clone()));
                    tests.insert(format!("{package}::{target}::{name}"), Test { ignored, passed });
                }
            }
        }
        Self { tests, passed: log }
    }

    /// Returns whether there is a test of this name, as far as that can be known.
    pub(crate) fn has(&self, name: &str) -> bool {
        apart(name).is_some() || self.of(name).next().is_some()
    }

    /// Says what is wrong with a test: it is not there, is left out of an ordinary run
    /// without being marked as `long`, or did not pass.
    pub(crate) fn fault(&self, name: &str, long: bool) -> Result<(), String> {
        if let Some(name) = apart(name) {
            return self.of_loom(name);
        }
        if !self.has(name) {
            return Err(format!("there is no test {name}"));
        }
        let ignored = self.of(name).all(|(_, test)| test.ignored);
        if ignored != long {
            let is = if ignored { "is" } else { "is not" };
            return Err(format!("{name} {is} left out of an ordinary run"));
        }
        let mut run = self.of(name).filter(|(_, test)| self.passed.is_some() && !test.ignored);
        match run.find(|(_, test)| !test.passed) {
            Some((name, _)) => Err(format!("{name} did not run, or not pass")),
            None => Ok(()),
        }
    }

    /// Says what is wrong with a test of all orders of threads, which this program does
    /// not build.
    fn of_loom(&self, name: &str) -> Result<(), String> {
        let Some(passed) = &self.passed else { return Ok(()) };
        if passed.iter().any(|(file, known)| file.starts_with("loom-") && known == name) {
            return Ok(());
        }
        Err(format!("{name} of loom did not run, or not pass"))
    }

    /// Finds a test, or those on every store that a case has become.
    fn of(&self, name: &str) -> impl Iterator<Item = (&String, &Test)> {
        self.tests.iter().filter(move |(known, _)| {
            known.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        })
    }
}

/// Returns the name within its program of a test that is built apart.
fn apart(name: &str) -> Option<&str> {
    name.split_once("::")?.1.strip_prefix("loom::")
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
