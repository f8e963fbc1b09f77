//! Events as `tracing` records.

use tracing::{debug, trace, warn};

use super::{Event, Observer};

/// Writes events as `tracing` records with the target `session`.
///
/// Store calls are traces, the lives of sessions are debug records, and what an
/// operator should see is a warning.
#[derive(Clone, Copy, Debug, Default)]
pub struct TracingObserver;

impl Observer for TracingObserver {
    fn observe(&self, event: &Event<'_>) {
        match event {
            Event::Call { backend, operation, elapsed, bytes, error: None } => trace!(
                target: "session",
                backend, operation = operation.as_str(), ?elapsed, bytes, "store call"
            ),
            Event::Call { backend, operation, elapsed, error: Some(error), .. } => warn!(
                target: "session",
                backend, operation = operation.as_str(), ?elapsed,
                kind = error.kind().as_str(), %error, "store call failed"
            ),
            Event::Loaded(status) => debug!(target: "session", ?status, "loaded"),
            Event::Created => debug!(target: "session", "created"),
            Event::Saved { conflicts } => debug!(target: "session", conflicts, "saved"),
            Event::Touched => trace!(target: "session", "touched"),
            Event::Regenerated => debug!(target: "session", "regenerated"),
            Event::Destroyed => debug!(target: "session", "destroyed"),
            Event::SavedTooLate => debug!(target: "session", "saved too late"),
            Event::Revoked(count) => debug!(target: "session", count, "revoked"),
            Event::Damaged(error) => warn!(target: "session", %error, "damaged record"),
            Event::Ambiguous => warn!(target: "session", "several live ids in one request"),
            Event::Degraded(error) => warn!(target: "session", %error, "opened without the store"),
            Event::Unseen(error) => warn!(target: "session", %error, "unseen error"),
            Event::Collected(report) => debug!(target: "session", ?report, "collected"),
        }
    }
}
