//! `cases.tsv`, which says which test holds which case.

use std::collections::BTreeMap;

const TABLE: &str = include_str!("../../cases.tsv");

/// The modules that hold cases.
const MODULES: [(&str, &str); 11] = [
    ("acceptance", include_str!("acceptance.rs")),
    ("client", include_str!("client.rs")),
    ("concurrency", include_str!("concurrency.rs")),
    ("cookies", include_str!("cookies.rs")),
    ("creation", include_str!("creation.rs")),
    ("expiry", include_str!("expiry.rs")),
    ("faults", include_str!("faults.rs")),
    ("locks", include_str!("locks.rs")),
    ("reading", include_str!("reading.rs")),
    ("response", include_str!("response.rs")),
    ("rotation", include_str!("rotation.rs")),
];

/// The cases, section by section of the table, without the whole stories.
const CASES: [&[u16]; 9] = [
    &[2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 15],
    &[22, 23, 24, 25, 26, 28, 29, 32, 33, 34, 35, 37, 38, 39, 40, 41],
    &[50, 51, 52, 53, 55, 56, 57, 60, 61, 63, 66, 67, 71, 72, 73, 75, 76, 77, 79, 81, 83],
    &[91, 93, 95, 97, 98, 99, 102, 103, 104, 105, 106],
    &[110, 112, 113, 114, 115, 116, 118, 121, 123, 125, 126, 128, 129, 130],
    &[140, 141, 142, 143, 145, 146, 147, 148, 150, 153, 154, 156, 157, 159, 160, 161],
    &[170, 171, 172, 174, 175, 176, 177, 178, 179, 180, 181],
    &[191, 192, 193, 194, 195, 197, 198, 199, 200, 201, 204, 205, 206, 207, 208, 209, 210, 211],
    &[220, 222, 223, 224, 226, 227, 228, 229, 230, 231, 232, 235, 236],
];

/// Returns the rows by id: the tests, and why there are none.
fn rows() -> BTreeMap<&'static str, (Vec<&'static str>, &'static str)> {
    let mut rows = BTreeMap::new();
    for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
        let mut fields = line.split('\t');
        let id = fields.next().unwrap();
        let tests = fields.next().unwrap().split(' ').filter(|test| *test != "-").collect();
        let reason = fields.next().unwrap_or_default();
        assert!(rows.insert(id, (tests, reason)).is_none(), "{id} is there twice");
    }
    rows
}

#[test]
fn every_case_is_held_or_has_a_reason() {
    let rows = rows();
    let cases = CASES.concat().into_iter().map(|number| format!("H{number:03}"));
    let acceptance = (1..=20).map(|number| format!("A{number:02}"));
    for id in cases.chain(acceptance) {
        let (tests, reason) = rows.get(&*id).unwrap_or_else(|| panic!("{id} is missing"));
        assert_ne!(tests.is_empty(), reason.is_empty(), "{id}");
    }
}

#[test]
fn every_test_of_the_table_exists() {
    for (id, (tests, _)) in rows() {
        for test in tests {
            let (module, name) = test.split_once("::").unwrap();
            let source = MODULES.iter().find(|(known, _)| *known == module);
            let source = source.unwrap_or_else(|| panic!("{id}: no module {module}")).1;
            let function = format!("    async fn {name}(target) {{");
            assert!(source.contains(&function), "{id}: no test {test}");
        }
    }
}
