//! Each target with its corpus and what a mutator makes of it.
//!
//! Bounded by the number of inputs, so that a run is the same as the one before.
//! `SESSION_FUZZ_INPUTS` changes the number, `SESSION_FUZZ_SEED` the inputs; for
//! runs that look for new paths see the folder `fuzz`.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use session_decoders::{Mutator, TARGETS, corpus};

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Runs a target on its corpus and on so many inputs made from it.
fn run(name: &str, inputs: u64) {
    let inputs = from_environment("SESSION_FUZZ_INPUTS", inputs);
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).unwrap();
    let corpus = corpus(name);
    let mut mutator = Mutator::new(from_environment("SESSION_FUZZ_SEED", 1));
    let try_one = |input: &[u8]| {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(input))) {
            eprintln!("{name} fails with the input {:?}", input.escape_ascii().to_string());
            resume_unwind(panic);
        }
    };
    corpus.iter().for_each(|input| try_one(input));
    for _ in 0..inputs {
        try_one(&mutator.next(&corpus));
    }
    println!("figure: {name}: {} inputs", inputs + corpus.len() as u64);
}

#[test]
fn frames() {
    run("frame", 50_000);
}

#[test]
fn serializers() {
    for name in ["bincode", "postcard", "msgpack", "json"] {
        run(name, 50_000);
    }
}

#[test]
fn cookie_headers() {
    run("cookie_header", 20_000);
    run("signed_cookie", 10_000);
}

#[test]
fn session_ids() {
    run("session_id", 200_000);
}

#[test]
fn store_uris() {
    run("store_uri", 100_000);
}

#[test]
fn configurations() {
    run("configuration", 20_000);
}

#[test]
fn cursors() {
    run("cursor", 100_000);
}

#[test]
fn file_records() {
    run("file_record", 5_000);
}

#[test]
fn every_target_has_a_test() {
    let here = include_str!("bounded.rs");
    for (name, _) in TARGETS {
        assert!(here.contains(&format!("\"{name}\"")), "{name}");
    }
}

#[test]
fn the_fuzzers_run_every_target_and_no_other() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    let programs = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let programs: BTreeSet<_> =
        programs.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    let targets: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(programs, targets);
}

/// Writes the inputs to begin from to where `cargo fuzz` looks for them.
#[test]
#[ignore = "writes the seeds of the fuzzers"]
fn seeds_are_written() {
    for (name, _) in TARGETS {
        let folder =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        for (number, input) in corpus(name).into_iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{number}")), input).unwrap();
        }
    }
}
