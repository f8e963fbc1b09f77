//! What a run has found.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use session_tests::history::checkers::{check, losses::losses, recovery};
use session_tests::history::model::Tolerance;
use session_tests::history::{History, read};
use session_tests::workload::Readings;

use crate::Failure;
use crate::clock::SKEW;
use crate::options::Options;

/// Who reads all sessions at the end.
pub(crate) const LAST_READER: u32 = u32::MAX;
/// Violations that are shown.
const SHOWN: usize = 10;
/// The longest recovery that is right, in nanoseconds.
const RECOVERY: u64 = 30_000_000_000;
/// One in so many sessions may be too hard for the search, and in a short run so many in
/// all; the other checkers see them.
const UNDECIDED: usize = 100;
const FEW: usize = 3;
/// Answered operations in a second at the least. A run with fewer has shown nothing.
const LEAST: f64 = 20.0;

/// Reads all histories, checks them and prints what was found. Returns whether
/// nothing is wrong; of a control, whether it found what it is there to find.
pub(crate) fn report(
    options: &Options,
    keep: &Path,
    version: &str,
    readings: Readings,
) -> Result<bool, Failure> {
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(keep)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            lines.extend(read(BufReader::new(File::open(path)?))?);
        }
    }
    let history = History::of(lines);
    let clocks_differ = options.breaks("clock");
    let skew = if clocks_differ { 2 * SKEW.unsigned_abs() } else { 0 };
    let lifetimes = (options.tolerance + skew) * 1_000_000;
    let tolerance = Tolerance { lifetimes, clocks_differ };
    let mut report = if options.stale_reads {
        check(&history.clone().without_looks(LAST_READER), tolerance)
    } else {
        check(&history, tolerance)
    };
    let recoveries = recovery::recoveries(&history);
    report.violations.extend(recovery::check(&recoveries, RECOVERY));
    let longest = recoveries.iter().filter_map(|recovery| recovery.after).max().unwrap_or(0);
    let mut faults: BTreeMap<&str, usize> = BTreeMap::new();
    for fault in &history.faults {
        *faults.entry(&fault.name).or_default() += 1;
    }
    if !options.control {
        for violation in report.violations.iter().take(SHOWN) {
            println!("{violation}");
        }
    }
    let answered = history.answered();
    let missing = options.nemeses.iter().filter(|name| !faults.contains_key(&***name));
    let missing: Vec<_> = missing.map(String::as_str).collect();
    let faults: Vec<_> = faults.iter().map(|(name, times)| format!("{times} {name}")).collect();
    println!(
        "{version}{}: {} operations on {} sessions, {answered} answered, {} open, {} {}; {} faults ({}); \
         {} sessions read at the end, {} violations, {} undecided; \
         works again after {:.2} s at the most",
        if options.http { ", over HTTP" } else { "" },
        history.operations(),
        report.lineages,
        report.open,
        report.failed,
        if options.stale_reads { "failed or only looked" } else { "failed" },
        history.faults.len(),
        faults.join(", "),
        readings.read,
        report.violations.len(),
        report.undecided,
        longest as f64 / 1e9,
    );
    if (answered as f64) < options.seconds * LEAST {
        println!("{answered} answers are too few");
        return Ok(false);
    }
    if options.nemeses.is_empty() || !missing.is_empty() {
        println!("something should have been broken, and was not: {}", missing.join(", "));
        return Ok(false);
    }
    if readings.read == 0 || readings.unread > 0 {
        println!("{} sessions could not be read at the end", readings.unread);
        return Ok(false);
    }
    if options.control {
        let losses = losses(&history, tolerance);
        println!("  control: {losses}");
        return Ok(losses.any());
    }
    Ok(report.violations.is_empty() && report.undecided <= FEW.max(report.lineages / UNDECIDED))
}
