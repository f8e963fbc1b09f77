//! What the pages for readers say about the table and its tests.

use std::fmt::Write;

use crate::built::Built;
use crate::rows::Row;

const ROBUSTNESS: &str = include_str!("../../../ROBUSTNESS.md");
const SECURITY: &str = include_str!("../../../../SECURITY.md");

/// Counts the rows of each section.
pub(crate) fn counts(sections: &[(&str, Vec<Row>)]) -> String {
    let mut table =
        "| Section | A | B | C | Left out, with the reason |\n| --- | --- | --- | --- | --- |\n"
            .to_owned();
    for (section, rows) in sections {
        let held =
            |tier| rows.iter().filter(|row| row.tier == tier && !row.tests.is_empty()).count();
        let [a, b, c] = ["A", "B", "C"].map(held);
        let out = rows.iter().filter(|row| row.tests.is_empty()).count();
        writeln!(table, "| {section} | {a} | {b} | {c} | {out} |").unwrap();
    }
    table
}

/// Returns what the pages say wrongly: the counts, the rows of tier A that no test
/// holds, and tests that are not there.
pub(crate) fn check(counts: &str, sections: &[(&str, Vec<Row>)], built: &Built) -> Vec<String> {
    let mut wrong = Vec::new();
    if !ROBUSTNESS.contains(counts) {
        wrong.push("ROBUSTNESS.md has other counts".to_owned());
    }
    let rows = sections.iter().flat_map(|(_, rows)| rows);
    let left_out = rows.filter(|row| row.tier == "A" && row.tests.is_empty());
    let left_out: Vec<_> = left_out.map(|row| format!("| {} | {} |", row.id, row.reason)).collect();
    let said: Vec<_> = ROBUSTNESS.lines().filter(|line| line.starts_with("| RS-")).collect();
    if left_out != said {
        wrong.push(format!("ROBUSTNESS.md names other rows of tier A: {}", left_out.join("\n")));
    }
    for (page, text) in [("ROBUSTNESS.md", ROBUSTNESS), ("SECURITY.md", SECURITY)] {
        let quoted = text.split('`').skip(1).step_by(2);
        let tests =
            quoted.filter(|text| text.starts_with("session-") && text.matches("::").count() > 1);
        let missing = tests.filter(|test| !built.has(test));
        wrong.extend(missing.map(|test| format!("{page}: there is no test {test}")));
    }
    wrong
}
