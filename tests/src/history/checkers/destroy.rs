//! Nothing answers for a session that was destroyed.

use super::{Violation, answered, lifetimes, shows_life};
use crate::history::model::Tolerance;
use crate::history::{Answer, Call, Lineage};

/// How long after a change of id a logout by the old id is believed to have
/// reached the session: less than the life of the pointer, 60 s.
const POINTED: u64 = 55_000_000_000;

/// Looks for signs of life that were asked for after an acknowledged destroy.
#[must_use]
pub fn check(lineage: &Lineage, tolerance: Tolerance) -> Option<Violation> {
    // From then on it may have expired for one and not for another.
    let contested = if tolerance.clocks_differ { first_expiry(lineage)? } else { u64::MAX };
    let contested = contested.saturating_sub(tolerance.lifetimes);
    let replaced = |id: &str| {
        let changes = lineage.operations.iter().filter(
            |operation| matches!(&operation.call, Call::Regenerate { id: old } if old == id),
        );
        changes.map(|operation| operation.from).min().unwrap_or(u64::MAX)
    };
    let ends = answered(lineage).filter_map(|(operation, answer)| match &operation.call {
        Call::Destroy { id } if *answer == Answer::Done => {
            let limit = replaced(id).saturating_add(POINTED).min(contested);
            (operation.to < limit).then_some(operation.to)
        }
        _ => None,
    });
    let end = ends.min()?;
    let (late, answer) = answered(lineage)
        .find(|(operation, answer)| operation.from > end && shows_life(&operation.call, answer))?;
    let what = format!("destroyed at {end}, and operation {:x} found it: {answer:?}", late.op);
    Some(Violation::new("destroy", lineage.number, what))
}

/// When the session expires if nobody uses it after it was made.
fn first_expiry(lineage: &Lineage) -> Option<u64> {
    let (idle, (absolute, _)) = lifetimes(lineage)?;
    let made = lineage
        .operations
        .iter()
        .find(|operation| matches!(operation.call, Call::Create { .. }) && operation.is_ok())?;
    Some(made.from.saturating_add(idle).min(absolute))
}
