//! How long it takes until the store works again after a fault.

use std::collections::BTreeMap;

use super::Violation;
use crate::history::{Fault, History};

/// What a process met after a fault was healed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// Which fault.
    pub fault: String,
    /// Which process, as [`Operation::process`](crate::history::Operation::process) numbers them.
    pub process: u32,
    /// Nanoseconds from the end of the fault, or from the first call of a process
    /// that began later, to the first answer to a call that had begun since;
    /// `None` if there was none any more.
    pub after: Option<u64>,
    /// Nanoseconds from there to the beginning of the last call.
    pub tried: u64,
}

/// The calls of a process: when they began, and when those that were answered ended.
#[derive(Default)]
struct Calls {
    begun: Vec<u64>,
    answered: Vec<(u64, u64)>,
}

impl Calls {
    /// Returns when the process began.
    fn first(&self) -> u64 {
        self.begun.iter().copied().min().unwrap_or(u64::MAX)
    }

    /// Returns when its last call began.
    fn last(&self) -> u64 {
        self.begun.iter().copied().max().unwrap_or(0)
    }

    /// Puts the answers into the order of their calls, and returns for each the
    /// earliest end from there on.
    fn earliest(&mut self) -> Vec<u64> {
        self.answered.sort_unstable();
        let mut earliest = vec![u64::MAX; self.answered.len() + 1];
        for at in (0..self.answered.len()).rev() {
            earliest[at] = earliest[at + 1].min(self.answered[at].1);
        }
        earliest
    }
}

/// Returns how each process that made a call after a fault recovered from it. The
/// life of a process begins with its first call.
#[must_use]
pub fn recoveries(history: &History) -> Vec<Recovery> {
    let mut processes: BTreeMap<u32, Calls> = BTreeMap::new();
    for operation in history.lineages.iter().flat_map(|lineage| &lineage.operations) {
        let calls = processes.entry(operation.process()).or_default();
        calls.begun.push(operation.from);
        if operation.is_ok() {
            calls.answered.push((operation.from, operation.to));
        }
    }
    let mut recoveries = Vec::new();
    for (&process, calls) in &mut processes {
        let (first, last, earliest) = (calls.first(), calls.last(), calls.earliest());
        let healed = history.faults.iter().filter(|fault| fault.to <= last);
        recoveries.extend(healed.map(|Fault { name, to, .. }| {
            let since = first.max(*to);
            let at = calls.answered.partition_point(|(from, _)| *from < since);
            let answer = earliest[at];
            let after = (answer != u64::MAX).then(|| answer - since);
            Recovery { fault: name.clone(), process, after, tried: last - since }
        }));
    }
    recoveries
}

/// Looks for processes that were not answered within `limit` nanoseconds of a
/// fault's end: answered too late, or asking for longer than that without an answer.
///
/// A process that ended before has shown neither.
#[must_use]
pub fn check(recoveries: &[Recovery], limit: u64) -> Vec<Violation> {
    let late =
        recoveries.iter().filter(|recovery| recovery.after.unwrap_or(recovery.tried) > limit);
    late.map(|Recovery { fault, process, after, tried }| {
        let met = match after {
            Some(after) => format!("was answered after {:.1} s", seconds(*after)),
            None => format!("asked for {:.1} s and was never answered", seconds(*tried)),
        };
        Violation::new("recovery", 0, format!("after {fault}, process {process} {met}"))
    })
    .collect()
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}
