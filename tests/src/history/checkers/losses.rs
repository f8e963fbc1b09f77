//! How much of what was acknowledged is lost, for stores that may lose.

use std::fmt;

use super::items::acknowledged;
use super::{answered, collection, destroy};
use crate::history::model::Tolerance;
use crate::history::{Answer, Call, History};

/// What was acknowledged, and how much of it is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Merges that were acknowledged.
    pub merges: usize,
    /// Those of them that a later reading did not show.
    pub lost_merges: usize,
    /// Sessions that were created.
    pub sessions: usize,
    /// Those of them that were not found although nobody had ended them.
    pub lost_sessions: usize,
    /// Sessions with an acknowledged logout.
    pub logouts: usize,
    /// Those of them that were seen again.
    pub undone_logouts: usize,
}

impl Losses {
    /// Whether anything is lost.
    #[must_use]
    pub const fn any(&self) -> bool {
        self.lost_merges + self.lost_sessions + self.undone_logouts > 0
    }
}

impl fmt::Display for Losses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = |lost: usize, of: usize| 100.0 * lost as f64 / of.max(1) as f64;
        write!(
            f,
            "{} of {} acknowledged merges lost ({:.2} %), {} of {} sessions ({:.2} %), \
             {} of {} logouts undone ({:.2} %)",
            self.lost_merges,
            self.merges,
            share(self.lost_merges, self.merges),
            self.lost_sessions,
            self.sessions,
            share(self.lost_sessions, self.sessions),
            self.undone_logouts,
            self.logouts,
            share(self.undone_logouts, self.logouts),
        )
    }
}

/// Counts what was lost, by what the other checkers call a violation.
#[must_use]
pub fn losses(history: &History, tolerance: Tolerance) -> Losses {
    let mut losses = Losses::default();
    for lineage in &history.lineages {
        let is_new = |call: &Call| matches!(call, Call::Create { .. });
        let created = answered(lineage).any(|(operation, _)| is_new(&operation.call));
        losses.sessions += usize::from(created);
        let vanished = collection::check(lineage, tolerance).is_some();
        losses.lost_sessions += usize::from(vanished);
        for (item, acknowledged) in acknowledged(lineage) {
            losses.merges += 1;
            let missed = answered(lineage).any(|(operation, answer)| match answer {
                Answer::Found(data) if operation.from > acknowledged => !data.items.contains(&item),
                _ => false,
            });
            losses.lost_merges += usize::from(missed || vanished);
        }
        let logged_out = answered(lineage).any(|(operation, answer)| {
            matches!(operation.call, Call::Destroy { .. }) && *answer == Answer::Done
        });
        losses.logouts += usize::from(logged_out);
        losses.undone_logouts += usize::from(destroy::check(lineage, tolerance).is_some());
    }
    losses
}
