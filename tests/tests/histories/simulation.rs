//! The session manager on a simulated store.

use session_tests::simulation::simulate;

#[test]
fn no_seed_shows_a_broken_promise() {
    let mut operations = 0;
    for seed in 0..2_000 {
        let report = simulate(seed).report;
        assert!(report.violations.is_empty(), "seed {seed}: {:?}", report.violations);
        assert_eq!(report.undecided, 0);
        operations += report.operations;
    }
    assert!(operations > 100_000, "{operations} operations are too few to show anything");
}

/// Seeds that have shown something, each once.
#[test]
fn seeds_that_showed_a_broken_promise_show_none_any_more() {
    for seed in [
        2, 28, 143, 152, 282, 421, 1718, 3076, 4212, 4577, 4792, 13_487, 21_541, 55_738, 103_380,
        113_321, 231_226,
    ] {
        let report = simulate(seed).report;
        assert!(report.violations.is_empty(), "seed {seed}: {:?}", report.violations);
    }
}

#[test]
fn a_seed_gives_the_same_history_again() {
    let text = |seed| format!("{:?}", simulate(seed).history);
    assert_eq!(text(5), text(5));
    assert_ne!(text(5), text(6));
}
