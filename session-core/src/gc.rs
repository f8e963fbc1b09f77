//! Collects expired sessions in the background.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::watch;

use crate::{
    BoxFuture, Error, ErrorKind, GcReport, GcRequest, Operation, Result, SessionManager, random,
};

/// Collects expired sessions in the background until it is stopped or dropped.
///
/// Runs in steps, each bounded, with a pause between them, so that requests are
/// not held up. Programs on several machines may each run one: the first run
/// waits a random part of the interval, so that they do not all start at once.
///
/// ```
/// use std::time::Duration;
/// use session_core::{Gc, MemoryHandler, SessionManager};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> session_core::Result<()> {
/// let sessions = SessionManager::new(MemoryHandler::new());
/// # #[cfg(feature = "rt")] {
/// let gc = Gc::spawn(&sessions, Duration::from_secs(600))?;
/// // serve ...
/// gc.stop();
/// # }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping it stops the collection"]
pub struct Gc {
    stopped: watch::Sender<bool>,
}

/// The pause between two steps of one run.
const STEP_PAUSE: Duration = Duration::from_millis(20);

impl Gc {
    /// Starts to collect, once every `interval` and up to a tenth longer.
    ///
    /// Does nothing for engines that remove expired sessions by themselves. An
    /// error of the store is reported to the observer, and the next run comes anyway.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfig`] if the interval is zero, or the manager has no
    /// runtime or is outside of it.
    pub fn spawn(sessions: &SessionManager, interval: Duration) -> Result<Self> {
        let invalid = |message| Error::new(ErrorKind::InvalidConfig, Operation::Gc, message);
        if interval.is_zero() {
            return Err(invalid("the interval between collections must be longer than nothing"));
        }
        let runtime = sessions.runtime().ok_or_else(|| {
            invalid(
                "collecting in the background needs a runtime; enable the feature `rt` of \
                     session-core, or give the manager a runtime",
            )
        })?;
        let (stopped, stop) = watch::channel(false);
        if !sessions.handler().info().expires_natively {
            let task = run(sessions.clone(), Arc::clone(runtime), interval, stop);
            if !runtime.spawn(Box::pin(task)) {
                return Err(invalid("call `Gc::spawn` inside the runtime, as in an async `main`"));
            }
        }
        Ok(Self { stopped })
    }

    /// Stops after the present step. Stopping twice is fine.
    pub fn stop(&self) {
        self.stopped.send_replace(true);
    }
}

async fn run(
    sessions: SessionManager,
    runtime: Arc<dyn crate::Runtime>,
    interval: Duration,
    mut stop: watch::Receiver<bool>,
) {
    let mut pause = jitter(&sessions, interval);
    loop {
        if stopped_within(&mut stop, runtime.sleep(pause)).await {
            return;
        }
        pause = match sessions.0.collect(&GcRequest::default()).await {
            Ok(GcReport { more: true, .. }) => STEP_PAUSE,
            Ok(_) => interval + jitter(&sessions, interval / 10),
            Err(err) => {
                sessions.0.unseen(&err);
                interval + jitter(&sessions, interval / 10)
            }
        };
    }
}

/// Waits for the end of the pause. `true` if the [`Gc`] was stopped or dropped first.
async fn stopped_within(stop: &mut watch::Receiver<bool>, mut pause: BoxFuture<()>) -> bool {
    let mut stop = pin!(stop.wait_for(|stopped| *stopped));
    poll_fn(|cx| {
        if stop.as_mut().poll(cx).is_ready() {
            return Poll::Ready(true);
        }
        pause.as_mut().poll(cx).map(|()| false)
    })
    .await
}

/// Returns a random part of `bound`, or none of it if the generator fails.
fn jitter(sessions: &SessionManager, bound: Duration) -> Duration {
    let bound = u64::try_from(bound.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(random::below(&*sessions.0.random, bound).unwrap_or(0))
}
