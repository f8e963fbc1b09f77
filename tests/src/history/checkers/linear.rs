//! One order of all operations explains all answers.

use super::Violation;
use crate::history::Lineage;
use crate::history::model::{Model, Tolerance};
use crate::history::search::{Verdict, search};

/// Steps until a search is given up: some seconds.
const STEPS: usize = 5_000_000;

/// Checks one session. `Err(None)` if the search was given up.
///
/// # Errors
///
/// The violation, which names the operation that no order gets past.
pub fn check(lineage: &Lineage, tolerance: Tolerance) -> Result<(), Option<Violation>> {
    let model = Model::new(lineage, tolerance);
    let intervals: Vec<_> =
        model.operations().iter().map(|operation| (operation.from, operation.to)).collect();
    match search(&model, &intervals, STEPS) {
        Verdict::Explained => Ok(()),
        Verdict::Undecided => Err(None),
        Verdict::Impossible(stuck) => {
            let operation = model.operations()[stuck];
            let what = format!("no order explains operation {:x}: {:?}", operation.op, operation);
            Err(Some(Violation::new("linear", lineage.number, what)))
        }
    }
}
