//! A lock has one holder at a time.

use std::collections::HashMap;

use super::Violation;
use crate::history::model::{Tolerance, nanos};
use crate::history::{Answer, Call, End, Operation};

/// A time during which somebody certainly held a lock.
struct Held {
    from: u64,
    to: u64,
    token: u64,
}

/// Looks for two holders of one lock at the same moment, and for tokens that do
/// not grow.
#[must_use]
pub fn check(operations: &[Operation], tolerance: Tolerance) -> Option<Violation> {
    let mut unlocks: HashMap<(u64, u64), u64> = HashMap::new();
    for operation in operations {
        if let Call::Unlock { lock, token } = operation.call {
            let first = unlocks.entry((lock, token)).or_insert(u64::MAX);
            *first = operation.from.min(*first);
        }
    }
    let mut holders: HashMap<u64, Vec<Held>> = HashMap::new();
    for operation in operations {
        if let (Call::Lock { lock, lease }, End::Ok(Answer::Granted(token))) =
            (&operation.call, &operation.end)
        {
            let lease = operation.from.saturating_add(nanos(*lease));
            let lease = lease.saturating_sub(tolerance.lifetimes);
            let freed = unlocks.get(&(*lock, *token)).copied().unwrap_or(u64::MAX);
            let held = Held { from: operation.to, to: lease.min(freed), token: *token };
            holders.entry(*lock).or_default().push(held);
        }
    }
    for (lock, mut holders) in holders {
        holders.sort_by_key(|held| held.from);
        // The one of those before that held it longest.
        let mut last: Option<&Held> = None;
        for held in &holders {
            if let Some(last) = last.filter(|last| held.from < last.to && held.from < held.to) {
                let what =
                    format!("lock {lock} was granted as {} and as {}", last.token, held.token);
                return Some(Violation::new("exclusion", 0, what));
            }
            if last.is_none_or(|last| held.to > last.to) {
                last = Some(held);
            }
        }
    }
    None
}
