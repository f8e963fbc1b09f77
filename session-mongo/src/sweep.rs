//! Removing what has expired, in batches along the index of deadlines.

use std::time::Instant;

use mongodb::bson::{Bson, doc};
use mongodb::options::{Acknowledgment, WriteConcern};
use session_core::{GcReport, GcRequest, Operation, Result};

use crate::client::Collections;
use crate::error;
use crate::record::{self, NOW, expired};
use crate::reply::all;
use crate::store::Store;

const OP: Operation = Operation::Gc;
/// Records that one command removes, at the most.
const BATCH: u32 = 500;
/// How long a grant is kept when its lease is over, in milliseconds: for a holder who was slow.
pub(crate) const GRANT_KEPT: i64 = 3_600_000;

impl Store {
    /// Removes expired records and locks in one bounded step.
    pub(crate) async fn sweep(&self, request: &GcRequest) -> Result<GcReport> {
        let started = Instant::now();
        let mut report = GcReport::default();
        let mut left = u32::try_from(request.limit).unwrap_or(u32::MAX).max(1);
        loop {
            let batch = left.min(BATCH);
            let (looked_at, removed) = self.call(OP, |to| sweep_batch(to, batch)).await?;
            report.scanned += u64::from(looked_at);
            report.removed += removed;
            left -= looked_at;
            report.more = looked_at == batch;
            if !report.more || left == 0 || started.elapsed() >= request.time {
                break;
            }
        }
        if !report.more {
            self.call(OP, sweep_locks).await?;
        }
        Ok(report)
    }
}

/// Removes a batch of expired records. Returns how many it looked at and removed.
async fn sweep_batch(to: &Collections, batch: u32) -> Result<(u32, u64)> {
    let filter = doc! { "$expr": expired() };
    let find = to.primary.find(filter).projection(doc! { "_id": 1 });
    let find = find.sort(doc! { "exp": 1 }).limit(i64::from(batch)).batch_size(batch);
    let keys = all(OP, find.batch().await, |fields| Ok(Some(record::key(&fields.key()?)))).await?;
    if keys.is_empty() {
        return Ok((0, 0));
    }
    let looked_at = u32::try_from(keys.len()).unwrap_or(batch);
    // Somebody may have created one of them anew meanwhile.
    let filter = doc! { "_id": { "$in": Bson::Array(keys) }, "$expr": expired() };
    let removed = to.sessions.delete_many(filter).write_concern(one()).await;
    Ok((looked_at, removed.map_err(|err| error::driver(OP, &err))?.deleted_count))
}

/// Removes locks whose lease has been over for long.
async fn sweep_locks(to: &Collections) -> Result<()> {
    let over = doc! { "$lt": ["$until", { "$subtract": [NOW, GRANT_KEPT] }] };
    let removed = to.locks.delete_many(doc! { "$expr": over }).write_concern(one()).await;
    removed.map(drop).map_err(|err| error::driver(OP, &err))
}

/// One server is enough: what comes back expired does no harm.
fn one() -> WriteConcern {
    WriteConcern::builder().w(Acknowledgment::Nodes(1)).build()
}
