//! `scenarios.tsv`, which says which test holds which scenario.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const TABLE: &str = include_str!("../../scenarios.tsv");

/// The cases of the kit, which macros make tests of.
const KIT: &str = include_str!("../../../session-core/src/testkit/mod.rs");

/// One line of the table.
struct Row {
    id: &'static str,
    tier: &'static str,
    tests: Vec<&'static str>,
    reason: &'static str,
}

/// Returns the rows by section.
fn sections() -> BTreeMap<&'static str, Vec<Row>> {
    let mut sections: BTreeMap<_, Vec<Row>> = BTreeMap::new();
    let mut section = "";
    for line in TABLE.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            section = title;
        } else if !line.starts_with('#') {
            let fields: Vec<_> = line.split('\t').collect();
            let [id, tier, what, tests, rest @ ..] = &fields[..] else { panic!("{line}") };
            assert!(!what.is_empty(), "{id}");
            let tests = tests.split(' ').filter(|test| *test != "-");
            let tests = tests.map(|test| test.strip_prefix("long:").unwrap_or(test)).collect();
            let reason = rest.first().copied().unwrap_or_default();
            sections.entry(section).or_default().push(Row { id, tier, tests, reason });
        }
    }
    sections
}

/// Returns the file that the longest part of a module's path leads to, and what
/// is left of the path.
fn find<'a>(root: &Path, path: &[&'a str]) -> Option<(PathBuf, Vec<&'a str>)> {
    (0..path.len()).rev().find_map(|len| {
        let module: PathBuf = root.join(path[..len].iter().collect::<PathBuf>());
        let candidates =
            [module.with_extension("rs"), module.join("mod.rs"), module.join("main.rs")];
        let file = candidates.into_iter().find(|file| len > 0 && file.is_file())?;
        Some((file, path[len..].to_vec()))
    })
}

/// Returns whether a test of this name stands in the source.
fn exists(test: &str) -> bool {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let path: Vec<_> = test.split("::").collect();
    let [package, target, path @ ..] = &path[..] else { return false };
    let package = match *package {
        "session-tests" => workspace.join("tests"),
        "session-decoders" => workspace.join("tests/decoders"),
        package => workspace.join(package),
    };
    let root = match *target {
        "lib" => package.join("src"),
        target if package.join("tests").join(target).is_dir() => package.join("tests").join(target),
        // A test that is one file.
        target => {
            let source = fs::read_to_string(package.join(format!("tests/{target}.rs")));
            return source.is_ok_and(|text| text.contains(&format!("fn {}(", path[0])));
        }
    };
    let Some((file, rest)) = find(&root, path) else { return false };
    let source = fs::read_to_string(file).unwrap();
    let name = rest.last().unwrap();
    let own = source.contains(&format!("fn {name}("));
    let of_the_kit = source.contains("conformance!") && KIT.contains(&format!(" {name}\n"));
    own || of_the_kit
}

#[test]
fn every_scenario_is_held_or_has_a_reason() {
    let mut ids = BTreeMap::new();
    for (section, rows) in sections() {
        for Row { id, tier, tests, reason } in rows {
            assert_eq!(ids.insert(id, ()), None, "{id} is there twice");
            assert!(["A", "B", "C"].contains(&tier), "{id}");
            assert_ne!(tests.is_empty(), reason.is_empty(), "{section}: {id}");
        }
    }
    assert!(ids.len() > 100);
}

#[test]
fn every_test_of_the_scenarios_exists() {
    let rows = sections().into_values().flatten();
    let missing: Vec<_> = rows
        .flat_map(|row| row.tests.into_iter().map(move |test| (row.id, test)))
        .filter(|(_, test)| !exists(test))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

/// `SECURITY.md` names tests too.
#[test]
fn every_test_that_security_md_names_exists() {
    let page = include_str!("../../../SECURITY.md");
    let quoted = page.split('`').skip(1).step_by(2);
    let tests: Vec<_> = quoted
        .filter(|text| text.starts_with("session-") && text.matches("::").count() > 1)
        .collect();
    assert!(tests.len() > 30, "{tests:?}");
    for test in tests {
        assert!(exists(test), "{test}");
    }
}

#[test]
fn a_test_that_is_not_there_is_noticed() {
    for test in [
        "session-tests::hostile::table::no_such_test",
        "session-tests::hostile::nowhere::exists",
        "session-file::it::conformance::full::no_such_case",
        "no-such-package::lib::table::exists",
    ] {
        assert!(!exists(test), "{test}");
    }
}

#[test]
fn the_scenarios_are_counted() {
    for (section, rows) in sections() {
        let held =
            |tier| rows.iter().filter(|row| row.tier == tier && !row.tests.is_empty()).count();
        let left_out = rows.iter().filter(|row| row.tests.is_empty()).count();
        let [a, b, c] = ["A", "B", "C"].map(held);
        println!(
            "figure: {section}: {} rows; held A {a}, B {b}, C {c}; with reason {left_out}",
            rows.len()
        );
    }
}
