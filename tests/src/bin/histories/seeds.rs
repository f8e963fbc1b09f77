//! Histories that a seed repeats.

use std::collections::BTreeMap;
use std::time::Instant;

use session_tests::mutants::Mutant;
use session_tests::simulation::simulate;

/// How many seeds a mistake may live.
const MOST_SEEDS: u64 = 100_000;
/// How many seeds with violations are shown.
const SHOWN: u64 = 5;

/// Simulates so many seeds. Returns whether nothing was found.
pub(crate) fn simulate_all(first: u64, count: u64) -> bool {
    let (mut wrong, mut undecided) = (0, 0);
    let (mut operations, mut faults) = (0, 0);
    let mut by_checker: BTreeMap<&str, u64> = BTreeMap::new();
    let begin = Instant::now();
    for seed in first..first + count {
        let outcome = simulate(seed);
        operations += outcome.report.operations;
        faults += outcome.faults;
        undecided += outcome.report.undecided as u64;
        if outcome.report.violations.is_empty() {
            continue;
        }
        wrong += 1;
        for violation in &outcome.report.violations {
            *by_checker.entry(violation.checker).or_default() += 1;
            if wrong <= SHOWN {
                println!("seed {seed}: {violation}");
            }
        }
        if wrong <= SHOWN {
            println!("again: histories simulate --seed {seed} --count 1");
        }
        if count == 1 {
            let lineages = &outcome.report.violations;
            for lineage in &outcome.history.lineages {
                if lineages.iter().any(|violation| violation.lineage == lineage.number) {
                    for operation in &lineage.operations {
                        println!("    {operation:?}");
                    }
                }
            }
        }
    }
    println!(
        "{count} seeds from {first}: {operations} operations, {faults} faults, {wrong} seeds with \
         violations {by_checker:?}, {undecided} sessions undecided, {:.1} s",
        begin.elapsed().as_secs_f64()
    );
    (wrong, undecided) == (0, 0)
}

/// Hunts all mutants. Returns whether all were caught.
pub(crate) fn mutants(first: u64) -> bool {
    let mut times = Vec::new();
    for mutant in Mutant::ALL {
        let Some(caught) = mutant.hunt(first, MOST_SEEDS) else {
            println!("{mutant:?}: NOT CAUGHT in {MOST_SEEDS} seeds");
            continue;
        };
        let mut checkers: Vec<_> = caught.violations.iter().map(|v| v.checker).collect();
        checkers.sort_unstable();
        checkers.dedup();
        println!(
            "{mutant:?}: caught after {} seeds, {} operations, {:.3} s, by {}",
            caught.seeds,
            caught.operations,
            caught.after.as_secs_f64(),
            checkers.join(", ")
        );
        times.push(caught.after);
    }
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default().as_secs_f64();
    println!("{} of {} caught, {median:.3} s in the median", times.len(), Mutant::ALL.len());
    times.len() == Mutant::ALL.len()
}
