//! How much of what was acknowledged is lost, for stores that may lose.

use std::fmt;

use super::items::{acknowledged, last_reading};
use super::{answered, collection, destroy};
use crate::history::model::Tolerance;
use crate::history::{Answer, Call, History};

/// What was acknowledged, and how much of it is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Merges that were acknowledged, in sessions whose end is known.
    pub merges: usize,
    /// Those of them that are not there at the end.
    pub lost_merges: usize,
    /// Sessions that were created.
    pub sessions: usize,
    /// Those of them that nobody ended, and that were not found.
    pub lost_sessions: usize,
    /// Logouts that were acknowledged.
    pub logouts: usize,
    /// Those of them whose session was seen again.
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
        let was = |call: fn(&Call) -> bool| {
            answered(lineage).any(|(operation, answer)| {
                call(&operation.call) && matches!(answer, Answer::Done | Answer::Named(_))
            })
        };
        losses.sessions += usize::from(was(|call| matches!(call, Call::Create { .. })));
        if was(|call| matches!(call, Call::Destroy { .. })) {
            losses.logouts += 1;
            losses.undone_logouts += usize::from(destroy::check(lineage).is_some());
            continue;
        }
        let vanished = collection::check(lineage, tolerance).is_some();
        losses.lost_sessions += usize::from(vanished);
        let merged: Vec<_> = acknowledged(lineage).collect();
        match last_reading(lineage) {
            Some(data) => {
                losses.merges += merged.len();
                let lost = merged.iter().filter(|item| data.items.binary_search(item).is_err());
                losses.lost_merges += lost.count();
            }
            None if vanished => {
                losses.merges += merged.len();
                losses.lost_merges += merged.len();
            }
            None => {}
        }
    }
    losses
}
