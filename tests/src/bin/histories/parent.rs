//! One run: opens a store, lets workers at it, and checks the histories.

use session_tests::history::Recorder;

use crate::child::history_file;
use crate::options::Options;
use crate::report::report;
use crate::store::Store;
use crate::{Failure, alone, application, crew};

/// Runs, checks and reports. Returns whether nothing is wrong.
pub(crate) async fn run(options: &Options) -> Result<bool, Failure> {
    let directory = tempfile::tempdir()?;
    let mut options = options.clone();
    let kept = options.keep.is_some();
    let keep = options.keep.get_or_insert_with(|| directory.path().to_owned()).clone();
    std::fs::create_dir_all(&keep)?;
    println!("again: {}", options.command());
    let mut store = Store::open(&options).await?;
    let recorder = Recorder::to_file(&history_file(&options, 0), 0)?;
    let readings = if options.http {
        application::run(&options, &mut store, &recorder).await?
    } else if matches!(store, Store::Memory) {
        alone::run(&options, &store.uri(&options), &recorder).await?
    } else {
        crew::run(&options, &mut store, &recorder).await?
    };
    let right = report(&options, &keep, &store.version().await?, readings)?;
    if !right && !kept {
        println!("the history is kept in {}", directory.keep().display());
    }
    Ok(right)
}
