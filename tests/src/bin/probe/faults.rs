//! Faults in front of the store, and counters of what reaches it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use session_core::testkit::Chaos;
use session_core::{ErrorKind, Event, Observer, Operation};

/// Every operation on the store while it is used.
const ALL: [Operation; 8] = [
    Operation::Read,
    Operation::Create,
    Operation::Write,
    Operation::Touch,
    Operation::Destroy,
    Operation::Lock,
    Operation::List,
    Operation::Index,
];

/// Those of them that change something.
const CHANGES: [Operation; 4] =
    [Operation::Create, Operation::Write, Operation::Touch, Operation::Destroy];

/// Makes the store behave as `mode` says, or returns `false` for an unknown mode.
pub(crate) fn set(chaos: &Chaos, mode: &str) -> bool {
    let failing: &[Operation] = match mode {
        "up" => &[],
        "down" => &ALL,
        "errget" => &[Operation::Read],
        "errset" => &[Operation::Create, Operation::Write],
        "errtouch" => &[Operation::Touch],
        "errdel" => &[Operation::Destroy],
        "lost" => {
            chaos.heal();
            for operation in CHANGES {
                chaos.lose_reply(operation);
            }
            return true;
        }
        _ => {
            let Some(millis) = mode.strip_prefix("slow:").and_then(|ms| ms.parse().ok()) else {
                return false;
            };
            chaos.heal();
            for operation in ALL {
                chaos.delay(operation, Duration::from_millis(millis));
            }
            return true;
        }
    };
    chaos.heal();
    for &operation in failing {
        chaos.fail(operation, ErrorKind::Unavailable);
    }
    true
}

/// Counts the conflicts that the store reports, and the errors that no request sees.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    conflicts: AtomicU64,
    unseen: AtomicU64,
    damaged: AtomicU64,
}

impl Tally {
    /// Returns the conflicts since the last call.
    pub(crate) fn take_conflicts(&self) -> u64 {
        self.0.conflicts.swap(0, Ordering::SeqCst)
    }

    /// Returns the errors that no request got to see since the last call.
    pub(crate) fn take_unseen(&self) -> u64 {
        self.0.unseen.swap(0, Ordering::SeqCst)
    }

    /// Returns the records that did not verify since the last call.
    pub(crate) fn take_damaged(&self) -> u64 {
        self.0.damaged.swap(0, Ordering::SeqCst)
    }
}

impl Observer for Tally {
    fn observe(&self, event: &Event<'_>) {
        let counter = match event {
            Event::Call { error: Some(err), .. } if err.kind() == ErrorKind::Conflict => {
                &self.0.conflicts
            }
            Event::Unseen(_) => &self.0.unseen,
            Event::Damaged(_) => &self.0.damaged,
            _ => return,
        };
        counter.fetch_add(1, Ordering::SeqCst);
    }
}
