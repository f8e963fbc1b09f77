//! The counter counts what was acknowledged, and no more than was tried.

use super::items::last_reading;
use super::{Violation, answered};
use crate::history::{Answer, Call, Lineage};

/// Compares the counter at the end with the increments.
#[must_use]
pub fn check(lineage: &Lineage) -> Option<Violation> {
    let found = last_reading(lineage)?.counter;
    let increments = |call: &Call| matches!(call, Call::Increment { .. });
    let acknowledged = answered(lineage)
        .filter(|(operation, answer)| increments(&operation.call) && **answer == Answer::Done)
        .count() as u64;
    let open = lineage.operations.iter();
    let open = open.filter(|operation| increments(&operation.call) && operation.is_open());
    let most = acknowledged + open.count() as u64;
    if (acknowledged..=most).contains(&found) {
        return None;
    }
    let what = format!("the counter is {found}, and not from {acknowledged} to {most}");
    Some(Violation::new("counter", lineage.number, what))
}
