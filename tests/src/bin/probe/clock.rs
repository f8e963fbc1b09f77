//! Time, as it is or as it is told.

use std::sync::Arc;
use std::time::Duration;

use session_core::{Clock, ManualClock, SystemClock, Timestamp};

/// The clock of the manager and of the store.
#[derive(Clone, Debug)]
pub(crate) enum ProbeClock {
    Real,
    Virtual(ManualClock),
}

impl ProbeClock {
    pub(crate) fn new(virtual_clock: bool) -> Self {
        if virtual_clock { Self::Virtual(ManualClock::new()) } else { Self::Real }
    }

    pub(crate) fn shared(&self) -> Arc<dyn Clock> {
        Arc::new(self.clone())
    }

    /// Lets time pass.
    pub(crate) async fn advance(&self, by: Duration) {
        match self {
            Self::Real => tokio::time::sleep(by).await,
            Self::Virtual(clock) => clock.advance(by),
        }
    }
}

impl Clock for ProbeClock {
    fn now(&self) -> Timestamp {
        match self {
            Self::Real => SystemClock.now(),
            Self::Virtual(clock) => clock.now(),
        }
    }
}
