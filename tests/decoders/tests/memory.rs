//! What the decoders allocate, counted by the allocator. Alone in its process,
//! because the count is the process's.

use std::alloc::System;

use session_decoders::{Mutator, TARGETS, corpus};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What a target may allocate besides: a session, a runtime's task, an error.
const FIXED: usize = 64 << 10;

/// What a target may allocate per byte of input, all allocations of all its
/// steps added up: it decodes, encodes, clones and compares.
const PER_BYTE: usize = 512;

/// Inputs for each target.
const INPUTS: usize = 4000;

/// The tests of this program.
const TESTS: [(&str, fn()); 2] = [
    (
        "every_decoder_allocates_in_proportion_to_its_input",
        every_decoder_allocates_in_proportion_to_its_input,
    ),
    ("no_decoder_keeps_what_it_allocates", no_decoder_keeps_what_it_allocates),
];

/// Does what matters of a harness, which would count along.
fn main() {
    let has = |name: &str| std::env::args().any(|argument| argument == name);
    // None is to be asked for.
    let tests = if has("--ignored") { &[][..] } else { &TESTS };
    for (name, test) in tests {
        if has("--list") {
            println!("{name}: test");
        } else {
            test();
            println!("test {name} ... ok");
        }
    }
}

fn every_decoder_allocates_in_proportion_to_its_input() {
    for (name, target) in TARGETS {
        let corpus = corpus(name);
        // What is made once for the whole process.
        corpus.iter().for_each(|input| target(input));
        let allocated = |input: &[u8]| {
            let region = Region::new(GLOBAL);
            target(input);
            region.change().bytes_allocated
        };
        let nothing = allocated(b"");
        assert!(nothing <= FIXED, "{name}: {nothing} bytes for no input");
        let mut mutator = Mutator::new(2);
        let mut worst = 0;
        for _ in 0..INPUTS {
            let input = mutator.next(&corpus);
            let more = allocated(&input).saturating_sub(nothing);
            let allowed = FIXED + PER_BYTE * input.len();
            assert!(more <= allowed, "{name}: {more} bytes for {} of input", input.len());
            worst = worst.max(more / input.len().max(64));
        }
        println!("figure: {name}: {worst} bytes allocated per byte at most, of {INPUTS} inputs");
    }
}

/// Rounds, each of the same inputs.
const ROUNDS: usize = 2;

fn no_decoder_keeps_what_it_allocates() {
    for (name, target) in TARGETS {
        let corpus = corpus(name);
        let mut mutator = Mutator::new(3);
        let inputs: Vec<_> = (0..INPUTS / 8).map(|_| mutator.next(&corpus)).collect();
        let kept = || {
            let region = Region::new(GLOBAL);
            inputs.iter().for_each(|input| target(input));
            let change = region.change();
            change.bytes_allocated.cast_signed() - change.bytes_deallocated.cast_signed()
        };
        // What is made once for the whole process.
        kept();
        let least = (0..ROUNDS).map(|_| kept()).min().expect("there are rounds");
        // Threads of a runtime come and go; what leaks, leaks in every round.
        let allowed = inputs.len().cast_signed();
        assert!(least < allowed, "{name}: {least} bytes kept of {allowed} inputs");
        println!("figure: {name}: {least} bytes kept of {allowed} inputs");
    }
}
