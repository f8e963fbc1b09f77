//! Garbage collection: a walk over all keys in bounded steps.

use std::time::Instant;

use super::handler::MemoryHandler;
use super::store::lock;
use crate::{GcReport, GcRequest};

impl MemoryHandler {
    /// Goes on where the last step stopped. Removes under the shard's lock, so
    /// that no touch or write comes between the look and the removal.
    pub(super) fn sweep(&self, request: &GcRequest) -> GcReport {
        let begin = Instant::now();
        let mut report = GcReport::default();
        let after = *lock(&self.store.swept);
        let last = self.store.walk(after, request.limit, |shard, keys| {
            let now = self.now();
            for key in keys {
                report.scanned += 1;
                if shard.live(key, now).is_none() {
                    self.store.replace(shard, key, None);
                    report.removed += 1;
                }
            }
            shard.grants.retain(|_, grant| grant.is_held(now));
            begin.elapsed() < request.time
        });
        *lock(&self.store.swept) = last;
        report.more = last.is_some();
        report
    }
}
