//! Nothing answers for a session whose lifetime is over.

use super::{Violation, answered, lifetimes, shows_life};
use crate::history::model::{Tolerance, nanos};
use crate::history::{Call, Lineage, Operation};

/// Looks for signs of life after the last moment to which anything can have
/// extended the session.
#[must_use]
pub fn check(lineage: &Lineage, tolerance: Tolerance) -> Option<Violation> {
    let (idle, (_, absolute)) = lifetimes(lineage)?;
    let mut late = 0;
    let mut open = 0;
    for operation in &lineage.operations {
        let Some(life) = extends(operation, idle) else { continue };
        if operation.is_open() {
            // It may come into effect at any time while the session lives.
            open += life;
        } else if operation.is_ok() {
            late = late.max(operation.to.saturating_add(life));
        }
    }
    let end = late.saturating_add(open).min(absolute).saturating_add(tolerance.lifetimes);
    let (sign, answer) = answered(lineage)
        .find(|(operation, answer)| operation.from > end && shows_life(&operation.call, answer))?;
    let what = format!("expired by {end}, and operation {:x} found it: {answer:?}", sign.op);
    Some(Violation::new("expiry", lineage.number, what))
}

/// Returns for how long a call lets the session live, if it has such an effect.
pub(super) fn extends(operation: &Operation, idle: u64) -> Option<u64> {
    match operation.call {
        Call::Touch { idle, .. } => Some(nanos(idle)),
        _ => operation.call.writes().then_some(idle),
    }
}
