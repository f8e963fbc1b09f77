//! What `cargo test` has printed.

use std::collections::BTreeSet;

/// Returns the tests that passed: the file of each one's program, which has a name of
/// its own, and the name in it.
pub(crate) fn passed(log: &str) -> BTreeSet<(String, String)> {
    let mut program = None;
    let mut passed = BTreeSet::new();
    for line in log.lines() {
        // `Running tests/it/main.rs (target/debug/deps/it-0123456789abcdef)`
        if let Some(rest) = line.trim_start().strip_prefix("Running ") {
            let path = rest.rsplit_once(" (").and_then(|(_, path)| path.strip_suffix(')'));
            program = path.and_then(|path| path.rsplit('/').next()).map(str::to_owned);
        } else if line.trim_start().starts_with("Doc-tests ") {
            program = None;
        } else if let (Some(program), Some(name)) = (&program, name(line)) {
            passed.insert((program.clone(), name.to_owned()));
        }
    }
    passed
}

/// Returns the test that a line says has passed. What a program besides has printed
/// without an end of line may stand before.
fn name(line: &str) -> Option<&str> {
    let line = line.strip_suffix(" ... ok")?;
    let line = line.strip_suffix(" - should panic").unwrap_or(line);
    let (before, name) = line.rsplit_once(' ')?;
    before.ends_with("test").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "   Compiling session-core v0.1.0 (/project/session-core)
     Running unittests src/lib.rs (target/debug/deps/session_core-01)

running 3 tests
test id::tests::one ... ok
test id::tests::two ... FAILED
test id::tests::three ... ignored, long
     Running tests/it/main.rs (target/debug/deps/it-02)
a program that says thistest id::tests::two ... ok
test four - should panic ... ok
   Doc-tests session_core
test src/lib.rs - (line 1) ... ok
";

    #[test]
    fn a_test_has_passed_if_its_own_program_says_ok() {
        let passed = passed(LOG);
        let of = |program: &str, name: &str| passed.contains(&(program.into(), name.into()));
        assert!(of("session_core-01", "id::tests::one"));
        assert!(!of("session_core-01", "id::tests::two"), "that one is of another program");
        assert!(!of("session_core-01", "id::tests::three"));
        assert!(of("it-02", "id::tests::two"));
        assert!(of("it-02", "four"));
        assert_eq!(passed.len(), 3);
    }
}
