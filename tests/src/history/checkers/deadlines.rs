//! Deadlines never move back, and every record has one.

use std::collections::HashMap;

use super::expiry::extends;
use super::{Violation, answered, lifetimes};
use crate::history::model::{Tolerance, nanos};
use crate::history::{Answer, Call, Lineage};

/// Compares what the store says is left of each record's life with what it said
/// before, and with the longest life that it may have.
#[must_use]
pub fn check(lineage: &Lineage, tolerance: Tolerance) -> Option<Violation> {
    let violation = |what| Some(Violation::new("deadlines", lineage.number, what));
    let (idle, (earliest, absolute)) = lifetimes(lineage)?;
    let longest = lineage.operations.iter().filter_map(|operation| extends(operation, idle)).max();
    let off = tolerance.lifetimes;
    // One clock may have been ahead when the deadline was set, and behind when it was looked at,
    // and the next time the other way round.
    let apart = if tolerance.clocks_differ { 2 * off } else { off };
    // Two writes may have been on their way for different times.
    let differs = absolute - earliest;
    let mut looks: Vec<_> = answered(lineage)
        .filter_map(|(operation, answer)| match (&operation.call, answer) {
            (Call::Look { id }, Answer::Left(left)) => Some((operation, id, left)),
            _ => None,
        })
        .collect();
    looks.sort_by_key(|(operation, ..)| operation.from);
    let replaced = |id: &str, before: u64| {
        lineage.operations.iter().any(|operation| {
            !matches!(operation.end, crate::history::End::Fail(_))
                && operation.from < before
                && matches!(&operation.call, Call::Regenerate { id: old } if old == id)
        })
    };
    // For each id, what was seen: when the look had ended, and the earliest deadline.
    let mut seen: HashMap<&str, Vec<(u64, u64)>> = HashMap::new();
    for (operation, id, left) in looks {
        // A pointer to the new id has a life of its own.
        if replaced(id, operation.to) {
            continue;
        }
        let Some(left) = left.map(nanos) else {
            return violation(format!(
                "operation {:x} found a record without a deadline",
                operation.op
            ));
        };
        let (early, late) =
            (operation.from.saturating_add(left), operation.to.saturating_add(left));
        let most = operation.to.saturating_add(longest.unwrap_or(idle)).min(absolute);
        if early > most.saturating_add(off) {
            let what = format!(
                "by operation {:x} it lives until {early}, and not until {most}",
                operation.op
            );
            return violation(what);
        }
        let before = seen.entry(id).or_default();
        let known = before.iter().filter(|(ended, _)| *ended < operation.from);
        let known = known.map(|(_, early)| *early).max().unwrap_or(0);
        if late.saturating_add(apart).saturating_add(differs) < known {
            let what = format!(
                "the deadline was {known}, and by operation {:x} it is {late}",
                operation.op
            );
            return violation(what);
        }
        before.push((operation.to, early));
    }
    None
}
