//! Nobody gets to see another session.

use super::{Violation, answered};
use crate::history::{Answer, Call, Lineage};

/// Looks for data with another session's tag, and for ids that are taken for
/// others.
#[must_use]
pub fn check(lineage: &Lineage) -> Option<Violation> {
    answered(lineage).find_map(|(operation, answer)| {
        let Answer::Found(data) = answer else { return None };
        let what = if matches!(operation.call, Call::Stranger { .. }) {
            format!("operation {:x} was let in by an altered id", operation.op)
        } else if data.tag != lineage.number {
            format!("operation {:x} was shown session {:x}", operation.op, data.tag)
        } else {
            return None;
        };
        Some(Violation::new("tags", lineage.number, what))
    })
}
