//! Every item that was merged is there at the end.

use std::collections::HashSet;

use super::{Violation, answered};
use crate::history::{Answer, Call, Data, Lineage};

/// Compares the acknowledged merges with the last reading that began after all of them.
#[must_use]
pub fn check(lineage: &Lineage) -> Option<Violation> {
    let data = last_reading(lineage)?;
    let found: HashSet<_> = data.items.iter().copied().collect();
    let mut tried = HashSet::new();
    for operation in &lineage.operations {
        let Call::Merge { item, .. } = operation.call else { continue };
        if operation.is_ok() || operation.is_open() {
            tried.insert(item);
        }
    }
    let mut lost: Vec<_> =
        acknowledged(lineage).map(|(item, _)| item).filter(|item| !found.contains(item)).collect();
    lost.sort_unstable();
    let mut strange: Vec<_> = found.difference(&tried).collect();
    strange.sort_unstable();
    if lost.is_empty() && strange.is_empty() {
        return None;
    }
    let what = format!("at the end, items {lost:x?} are lost, and {strange:x?} nobody merged");
    Some(Violation::new("items", lineage.number, what))
}

/// Returns the items whose merge was acknowledged, and when.
pub(super) fn acknowledged(lineage: &Lineage) -> impl Iterator<Item = (u64, u64)> {
    answered(lineage).filter_map(|(operation, answer)| match operation.call {
        Call::Merge { item, .. } if *answer == Answer::Done => Some((item, operation.to)),
        _ => None,
    })
}

/// Returns what was read at the very end: after everything that was answered.
pub(super) fn last_reading(lineage: &Lineage) -> Option<&Data> {
    let writes = lineage.operations.iter().filter(|operation| !operation.call.only_looks());
    let last =
        writes.map(|operation| if operation.is_ok() { operation.to } else { operation.from });
    let last = last.max()?;
    answered(lineage).find_map(|(operation, answer)| match answer {
        Answer::Found(data) if operation.from > last => Some(data),
        _ => None,
    })
}
