//! How long it takes until the store works again after a fault.

use crate::history::{End, History};

/// How long a fault kept on working after it was healed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// Which fault.
    pub fault: String,
    /// Nanoseconds from its end to the first call that was answered and had begun
    /// after it; `None` if there was none any more.
    pub after: Option<u64>,
}

/// Returns the recovery from each fault that was healed.
#[must_use]
pub fn recoveries(history: &History) -> Vec<Recovery> {
    let sessions = history.lineages.iter().flat_map(|lineage| &lineage.operations);
    let mut answered: Vec<_> = sessions
        .filter(|operation| matches!(operation.end, End::Ok(_)))
        .map(|operation| (operation.from, operation.to))
        .collect();
    answered.sort_unstable();
    // The earliest end of all that begin at a place or later.
    let mut earliest = vec![u64::MAX; answered.len() + 1];
    for at in (0..answered.len()).rev() {
        earliest[at] = earliest[at + 1].min(answered[at].1);
    }
    let healed = history.faults.iter().filter(|fault| fault.to != u64::MAX);
    healed
        .map(|fault| {
            let at = answered.partition_point(|(from, _)| *from < fault.to);
            let first = earliest[at];
            let after = (first != u64::MAX).then(|| first - fault.to);
            Recovery { fault: fault.name.clone(), after }
        })
        .collect()
}
