//! Workers in this process, for a store that no other can share.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use session_tests::history::Recorder;
use session_tests::workload::{Drive, Known, Readings, final_readings};

use crate::Failure;
use crate::child::{self, Here};
use crate::options::Options;
use crate::report::LAST_READER;
use crate::scene::{Scene, torment};

/// All sessions that the workers of this process have told of.
#[derive(Clone, Default)]
pub(crate) struct All(Arc<Mutex<Vec<Known>>>);

impl All {
    /// Returns how workers tell.
    pub(crate) fn tell(&self) -> Arc<dyn Fn(&Known) + Send + Sync> {
        let all = self.clone();
        Arc::new(move |known| {
            all.0.lock().unwrap_or_else(PoisonError::into_inner).push(known.clone());
        })
    }

    pub(crate) fn get(&self) -> Vec<Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait(?Send)]
impl Scene for Here {
    async fn pass(&mut self, until: Instant) {
        tokio::time::sleep_until(until.into()).await;
    }

    async fn fault(&mut self, name: &str, random: &mut fastrand::Rng) -> Result<(), Failure> {
        if !child::NEMESES.contains(&name) {
            return Err(format!("in one process there is no {name}").into());
        }
        self.disturb(name, random);
        Ok(())
    }

    async fn heal(&mut self, _: &str) -> Result<(), Failure> {
        self.calm();
        Ok(())
    }
}

pub(crate) async fn run(
    options: &Options,
    uri: &str,
    recorder: &Recorder,
) -> Result<Readings, Failure> {
    let all = All::default();
    let mut here = Here::open(options, uri, 0, recorder.clone(), all.tell()).await?;
    let workers = tokio::spawn(here.drive.clone().run());
    torment(&mut here, options, recorder).await?;
    end(&here.drive, workers).await?;
    Ok(final_readings(&here.direct, recorder, LAST_READER, &all.get()).await)
}

/// Lets workers come to their end.
pub(crate) async fn end(
    drive: &Drive,
    workers: tokio::task::JoinHandle<()>,
) -> Result<(), Failure> {
    drive.stop.store(true, std::sync::atomic::Ordering::Relaxed);
    workers.await?;
    // What was dropped unfinished may still be at work.
    tokio::time::sleep(Duration::from_millis(200)).await;
    Ok(())
}
