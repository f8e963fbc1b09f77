//! What happened, for logs, metrics and tests.

#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "tracing")]
mod tracing;

use std::fmt;
use std::time::Duration;

use crate::{Error, GcReport, Operation, Status};

#[cfg(feature = "metrics")]
pub use self::metrics::MetricsObserver;
#[cfg(feature = "tracing")]
pub use self::tracing::TracingObserver;

/// Receives events. Called in the middle of requests: must not block.
///
/// No event holds a session id, a key, data or an owner.
pub trait Observer: fmt::Debug + Send + Sync + 'static {
    /// Takes note of an event.
    fn observe(&self, event: &Event<'_>);
}

/// Tells two observers, one after the other.
impl<A: Observer, B: Observer> Observer for (A, B) {
    fn observe(&self, event: &Event<'_>) {
        self.0.observe(event);
        self.1.observe(event);
    }
}

/// Something that happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A call to the store ended.
    #[non_exhaustive]
    Call {
        /// The engine.
        backend: &'static str,
        /// What was asked.
        operation: Operation,
        /// How long it took.
        elapsed: Duration,
        /// Bytes of payload that were read or written.
        bytes: usize,
        /// Why it failed, if it did.
        error: Option<&'a Error>,
    },
    /// A request asked for its session.
    Loaded(Status),
    /// A new session was stored.
    Created,
    /// A session was written, after so many conflicts.
    Saved {
        /// How often another writer came first.
        conflicts: u32,
    },
    /// A session's lifetime was extended.
    Touched,
    /// A session got a new id.
    Regenerated,
    /// A session was ended by its holder.
    Destroyed,
    /// A save met a session that had ended or moved meanwhile; nothing was written.
    SavedTooLate,
    /// Sessions were ended through the index or the list.
    Revoked(u64),
    /// A record did not verify and was treated as absent.
    Damaged(&'a Error),
    /// A request sent several live ids, so that none was believed.
    Ambiguous,
    /// The store could not be read and the session was opened without it.
    Degraded(&'a Error),
    /// An error that the request did not get to see, such as a failed touch.
    Unseen(&'a Error),
    /// A step of garbage collection ended.
    Collected(&'a GcReport),
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Debug)]
    struct Named(char, Arc<Mutex<String>>);

    impl Observer for Named {
        fn observe(&self, _: &Event<'_>) {
            self.1.lock().unwrap().push(self.0);
        }
    }

    #[test]
    fn a_pair_of_observers_is_told_in_order() {
        let told = Arc::default();
        let named = |name| Named(name, Arc::clone(&told));
        (named('a'), (named('b'), named('c'))).observe(&Event::Created);
        assert_eq!(*told.lock().unwrap(), "abc");
    }
}
