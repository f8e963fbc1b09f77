//! No living session is collected.

use super::expiry::extends;
use super::{Violation, answered, lifetimes};
use crate::history::model::Tolerance;
use crate::history::{Answer, Call, End, Lineage, Operation};

/// Looks for a session that was not found although nobody can have ended it, it
/// cannot have expired, and no other id can lead to it.
#[must_use]
pub fn check(lineage: &Lineage, tolerance: Tolerance) -> Option<Violation> {
    let (idle, (absolute, _)) = lifetimes(lineage)?;
    // Until when it certainly lives, by what had been acknowledged.
    let mut lives: Vec<(u64, u64)> = answered(lineage)
        .filter(|(_, answer)| matches!(answer, Answer::Done | Answer::Named(_)))
        .filter(|(operation, _)| !is_being_replaced(lineage, operation))
        .filter_map(|(operation, _)| {
            let life = extends(operation, idle)?;
            Some((operation.to, operation.from.saturating_add(life).min(absolute)))
        })
        .collect();
    lives.sort_unstable();
    for (operation, answer) in answered(lineage) {
        let Some(id) = operation.call.id() else { continue };
        if *answer != Answer::Gone || matches!(operation.call, Call::Stranger { .. }) {
            continue;
        }
        let known = lives.iter().take_while(|(acknowledged, _)| *acknowledged < operation.from);
        let until = known.map(|(_, until)| *until).max().unwrap_or(0);
        if operation.to.saturating_add(tolerance.lifetimes) >= until {
            continue;
        }
        let excused = lineage.operations.iter().any(|other| {
            !matches!(other.end, End::Fail(_))
                && other.from < operation.to
                && match &other.call {
                    Call::Destroy { .. } => true,
                    Call::Regenerate { id: old } => old == id && other.op != operation.op,
                    _ => false,
                }
        });
        if !excused {
            let what =
                format!("it lives until {until}, and operation {:x} did not find it", operation.op);
            return Some(Violation::new("collection", lineage.number, what));
        }
    }
    None
}

/// Whether the id of an operation gets a successor meanwhile: the copy under that may
/// have been made before, and lives from then on.
fn is_being_replaced(lineage: &Lineage, operation: &Operation) -> bool {
    lineage.operations.iter().any(|other| {
        matches!(&other.call, Call::Regenerate { id } if operation.call.id() == Some(id))
            && other.op != operation.op
            && other.from < operation.to
            && operation.from < other.to
    })
}
