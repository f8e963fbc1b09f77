//! What breaks, and when: drawn by the seed.

use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process};
use session_tests::history::{Event, Recorder};

use crate::Failure;
use crate::count::Count;
use crate::options::Options;

/// Where workers are at work, and what can break there.
#[async_trait(?Send)]
pub(crate) trait Scene {
    /// Lets time pass until a moment.
    async fn pass(&mut self, until: Instant);

    /// Breaks something.
    async fn fault(&mut self, name: &str, random: &mut fastrand::Rng) -> Result<(), Failure>;

    /// Repairs what was broken last.
    async fn heal(&mut self, name: &str) -> Result<(), Failure>;
}

/// Breaks and repairs one thing after another, as long and for as many operations as the
/// options say, and everything once in any case.
pub(crate) async fn torment(
    scene: &mut dyn Scene,
    options: &Options,
    recorder: &Recorder,
) -> Result<(), Failure> {
    let mut random = fastrand::Rng::with_seed(options.seed);
    let end = Instant::now() + Duration::from_secs_f64(options.seconds);
    let mut round = Vec::new();
    // What has not happened yet.
    let mut missing = options.nemeses.len();
    let mut count = Count::of(options.keep.as_deref().unwrap_or(Path::new(".")));
    loop {
        let too_few = options.operations > 0 && count.operations()? < options.operations;
        let goes_on = |missing| missing > 0 || too_few || Instant::now() < end;
        if !goes_on(missing) {
            break;
        }
        let pause = soon(&mut random, 100..600);
        scene.pass(if missing > 0 || too_few { pause } else { pause.min(end) }).await;
        if round.is_empty() {
            round.clone_from(&options.nemeses);
            random.shuffle(&mut round);
        }
        let Some(name) = round.pop().filter(|_| goes_on(missing)) else { continue };
        missing = missing.saturating_sub(1);
        recorder.fault(Event::Fault(name.clone()));
        let broken = scene.fault(&name, &mut random).await;
        broken.map_err(|err| format!("{name} cannot be done: {err}"))?;
        scene.pass(soon(&mut random, 100..900)).await;
        let healed = scene.heal(&name).await;
        healed.map_err(|err| format!("{name} cannot be undone: {err}"))?;
        recorder.fault(Event::Heal(name));
    }
    // So that the last fault shows how long it keeps on working.
    scene.pass(Instant::now() + Duration::from_secs(1)).await;
    Ok(())
}

fn soon(random: &mut fastrand::Rng, millis: Range<u64>) -> Instant {
    Instant::now() + Duration::from_millis(random.u64(millis))
}

/// Sends a signal to a process that was started here.
pub(crate) fn signal(process: Option<u32>, signal: Signal) {
    let process = process.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(process) = process {
        // It may have ended by itself.
        let _ = kill_process(process, signal);
    }
}
