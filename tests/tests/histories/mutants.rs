//! Stores and applications with a mistake are caught, and those without are not.

use session_tests::mutants::{Mutant, flawless};
use session_tests::simulation::simulate_with;

#[test]
fn every_mistake_is_caught() {
    let missed: Vec<_> =
        Mutant::ALL.into_iter().filter(|mutant| mutant.hunt(0, 20_000).is_none()).collect();
    assert!(missed.is_empty(), "{missed:?}");
}

#[test]
fn the_stores_that_mistakes_are_made_in_are_right_without_them() {
    for on_disk in [false, true] {
        for seed in 0..500 {
            let outcome = simulate_with(seed, &|scheduler| flawless(scheduler, on_disk));
            assert!(
                outcome.report.violations.is_empty(),
                "{seed}: {:?}",
                outcome.report.violations
            );
        }
    }
}
