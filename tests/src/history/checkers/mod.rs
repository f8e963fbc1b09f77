//! Checkers. Each looks for one kind of wrong, on its own.
//!
//! [`linear`] alone knows the whole model; the others see one promise each, in
//! one pass over all data, and so check the model too.

pub mod collection;
pub mod counter;
pub mod deadlines;
pub mod destroy;
pub mod exclusion;
pub mod expiry;
pub mod ids;
pub mod items;
pub mod linear;
pub mod losses;
pub mod monotonic;
pub mod recovery;
pub mod tags;

use std::fmt;

use super::model::Tolerance;
use super::{Answer, Call, End, History, Lineage, Operation};

/// Something that a store which keeps its promises cannot have answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which checker found it.
    pub checker: &'static str,
    /// In which session; 0 if in none.
    pub lineage: u64,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: session {:x}: {}", self.checker, self.lineage, self.what)
    }
}

impl Violation {
    fn new(checker: &'static str, lineage: u64, what: impl Into<String>) -> Self {
        Self { checker, lineage, what: what.into() }
    }
}

/// What the checkers found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// How many operations were checked.
    pub operations: usize,
    /// How many sessions they were on.
    pub lineages: usize,
    /// How many operations may or may not have happened.
    pub open: usize,
    /// How many operations have certainly changed nothing.
    pub failed: usize,
    /// Sessions whose search for an order was given up.
    pub undecided: usize,
    /// Everything that is wrong.
    pub violations: Vec<Violation>,
}

/// Runs all checkers but [`recovery`], which needs faults and a limit.
#[must_use]
pub fn check(history: &History, tolerance: Tolerance) -> Report {
    let mut report = Report {
        operations: history.operations(),
        lineages: history.lineages.len(),
        ..Report::default()
    };
    let all = history.lineages.iter().flat_map(|lineage| &lineage.operations);
    for operation in all.chain(&history.others) {
        report.open += usize::from(operation.is_open());
        report.failed += usize::from(matches!(operation.end, End::Fail(_)));
    }
    let violations = &mut report.violations;
    for lineage in &history.lineages {
        match linear::check(lineage, tolerance) {
            Ok(()) => {}
            Err(Some(violation)) => violations.push(violation),
            Err(None) => report.undecided += 1,
        }
        violations.extend(destroy::check(lineage, tolerance));
        violations.extend(expiry::check(lineage, tolerance));
        violations.extend(items::check(lineage));
        violations.extend(counter::check(lineage));
        violations.extend(ids::check(lineage));
        violations.extend(monotonic::check(lineage));
        violations.extend(deadlines::check(lineage, tolerance));
        violations.extend(collection::check(lineage, tolerance));
        violations.extend(tags::check(lineage));
    }
    violations.extend(exclusion::check(&history.others, tolerance));
    report
}

/// Returns the operations with this kind of call, and how they were answered.
fn answered(lineage: &Lineage) -> impl Iterator<Item = (&Operation, &Answer)> {
    lineage.operations.iter().filter_map(|operation| match &operation.end {
        End::Ok(answer) => Some((operation, answer)),
        End::Fail(_) | End::Info(_) => None,
    })
}

/// Whether an answer shows that the session was there.
fn shows_life(call: &Call, answer: &Answer) -> bool {
    match call {
        Call::Load { .. } | Call::Stranger { .. } => matches!(answer, Answer::Found(_)),
        Call::Save { .. } => matches!(answer, Answer::Done | Answer::Conflict),
        Call::Merge { .. } | Call::Increment { .. } | Call::Touch { .. } => *answer == Answer::Done,
        Call::Regenerate { .. } => matches!(answer, Answer::Named(_)),
        _ => false,
    }
}

/// Returns how long the session was to live unused, and the bounds of its
/// absolute deadline.
///
/// A write tells the store what is left until then, so that the store may have
/// it later by as long as the write was on its way.
fn lifetimes(lineage: &Lineage) -> Option<(u64, (u64, u64))> {
    let writes = lineage.operations.iter().filter(|operation| operation.call.writes());
    let possible = writes.filter(|operation| !matches!(operation.end, End::Fail(_)));
    let delay = possible.map(|operation| operation.to - operation.from).max().unwrap_or(0);
    lineage.operations.iter().find_map(|operation| match operation.call {
        Call::Create { idle, absolute } if operation.is_ok() => {
            let millis = absolute.map(super::model::nanos);
            let deadline = |from: u64| millis.map_or(u64::MAX, |after| from.saturating_add(after));
            let late = deadline(operation.to).saturating_add(delay);
            Some((super::model::nanos(idle), (deadline(operation.from), late)))
        }
        _ => None,
    })
}
