//! Nobody sees a session as it was before.

use std::collections::HashMap;

use super::{Violation, answered};
use crate::history::{Answer, Lineage};

/// Compares each reading with those that had ended before it began, whoever made them.
#[must_use]
pub fn check(lineage: &Lineage) -> Option<Violation> {
    let mut readings: Vec<_> = answered(lineage)
        .filter_map(|(operation, answer)| match answer {
            Answer::Found(data) => Some((operation, data)),
            _ => None,
        })
        .collect();
    readings.sort_by_key(|(operation, _)| operation.to);
    let mut by_worker: HashMap<u32, u64> = HashMap::new();
    for (operation, data) in &readings {
        let last = by_worker.entry(operation.worker).or_default();
        if data.writes < *last {
            let what = format!(
                "worker {} saw {last} writes, and then {} in operation {:x}",
                operation.worker, data.writes, operation.op
            );
            return Some(Violation::new("monotonic", lineage.number, what));
        }
        *last = data.writes;
    }
    // Between workers: what one has seen, nobody may miss who asks later.
    let mut ended = readings.iter().peekable();
    let mut most = 0;
    let mut by_begin = readings.clone();
    by_begin.sort_by_key(|(operation, _)| operation.from);
    for (operation, data) in by_begin {
        while let Some((_, seen)) = ended.next_if(|(before, _)| before.to < operation.from) {
            most = most.max(seen.writes);
        }
        if data.writes < most {
            let what = format!(
                "{most} writes had been seen, and operation {:x} saw {}",
                operation.op, data.writes
            );
            return Some(Violation::new("monotonic", lineage.number, what));
        }
    }
    None
}
