//! Events as counters and histograms.

use metrics::{counter, histogram};

use super::{Event, Observer};

/// Counts events through the `metrics` facade.
///
/// | Name | Kind | Labels |
/// | --- | --- | --- |
/// | `session_store_seconds` | histogram | `backend`, `operation`, `outcome` (`ok` or an error kind) |
/// | `session_store_bytes` | histogram | `backend`, `operation` |
/// | `session_events_total` | counter | `event` |
/// | `session_conflicts_total` | counter | |
/// | `session_gc_removed_total` | counter | |
///
/// Labels come from closed sets, so their number is bounded.
#[derive(Clone, Copy, Debug, Default)]
pub struct MetricsObserver;

impl Observer for MetricsObserver {
    fn observe(&self, event: &Event<'_>) {
        let name = match event {
            Event::Call { backend, operation, elapsed, bytes, error } => {
                let outcome = error.map_or("ok", |error| error.kind().as_str());
                let operation = operation.as_str();
                histogram!(
                    "session_store_seconds",
                    "backend" => *backend, "operation" => operation, "outcome" => outcome
                )
                .record(elapsed.as_secs_f64());
                if *bytes > 0 {
                    #[expect(clippy::cast_precision_loss, reason = "records are small")]
                    histogram!("session_store_bytes", "backend" => *backend, "operation" => operation)
                        .record(*bytes as f64);
                }
                return;
            }
            Event::Loaded(status) => status.as_str(),
            Event::Created => "created",
            Event::Saved { conflicts } => {
                counter!("session_conflicts_total").increment(u64::from(*conflicts));
                "saved"
            }
            Event::Touched => "touched",
            Event::Regenerated => "regenerated",
            Event::Destroyed => "destroyed",
            Event::SavedTooLate => "saved_too_late",
            Event::Revoked(_) => "revoked",
            Event::Damaged(_) => "damaged",
            Event::Ambiguous => "ambiguous",
            Event::Degraded(_) => "degraded",
            Event::Unseen(_) => "unseen",
            Event::Collected(report) => {
                counter!("session_gc_removed_total").increment(report.removed);
                "collected"
            }
        };
        counter!("session_events_total", "event" => name).increment(1);
    }
}
