//! At every moment one id can write, and not two or none.

use std::collections::HashMap;

use super::{Violation, answered, shows_life};
use crate::history::{Answer, Call, Lineage};

/// Looks for ids that were replaced twice, for signs of life by an id after it
/// was replaced, and for a session that nobody ended and no id leads to.
#[must_use]
pub fn check(lineage: &Lineage) -> Option<Violation> {
    let violation = |what| Some(Violation::new("ids", lineage.number, what));
    let mut replaced: HashMap<&str, u64> = HashMap::new();
    let mut told = 0;
    for (operation, answer) in answered(lineage) {
        let Answer::Named(new) = answer else { continue };
        told += 1;
        let old = match &operation.call {
            Call::Regenerate { id } => id,
            Call::Create { .. } if told == 1 => continue,
            call => return violation(format!("{call:?} brought another id, {new}")),
        };
        if replaced.insert(old, operation.to).is_some() {
            return violation(format!("the id {old} was replaced twice"));
        }
    }
    for (operation, answer) in answered(lineage) {
        let Some(id) = operation.call.id() else { continue };
        if replaced.get(id).is_some_and(|end| operation.from > *end)
            && shows_life(&operation.call, answer)
        {
            let what =
                format!("operation {:x} found it by the old id {id}: {answer:?}", operation.op);
            return violation(what);
        }
    }
    None
}
