//! Uses sessions from several processes while things break, and checks what was
//! answered. See `histories --help`.

mod all;
mod alone;
mod application;
mod child;
mod clock;
mod count;
mod crew;
mod options;
mod parent;
mod report;
mod scene;
mod seeds;
mod store;
mod wire;

use std::process::ExitCode;

use crate::options::{Asked, Options};

/// What went wrong with the run itself, for the person who reads it.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(err) => {
            eprintln!("histories: {err}; see histories --help");
            ExitCode::from(2)
        }
    }
}

/// Returns whether nothing was found, or in the case of mistakes, all of them.
fn run() -> Result<bool, Failure> {
    let (options, all) = match Options::parse()? {
        Asked::Help => {
            print!("{}", options::HELP);
            return Ok(true);
        }
        // On this thread alone, and without a runtime.
        Asked::Simulate { first, count } => return Ok(seeds::simulate_all(first, count)),
        Asked::Mutants { first } => return Ok(seeds::mutants(first)),
        Asked::Run(options) => (*options, false),
        Asked::All(options) => (*options, true),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match options.child {
            Some(_) => child::run(&options).await.map(|()| true),
            None if all => all::run(&options).await,
            None => parent::run(&options).await,
        }
    })
}
