//! Garbage collection: small batches, by ascending key, checked once more.

use std::time::Instant;

use session_core::{GcReport, GcRequest, Operation, Result, SessionKey};
use sqlx::SqlStr;
use sqlx::mysql::MySqlRow;

use crate::call::Repeat;
use crate::connection::Answer;
use crate::param::Param;
use crate::record;
use crate::sql::{BATCH, padded};
use crate::store::Store;

const OP: Operation = Operation::Gc;

impl Store {
    /// Removes expired records, and grants whose lease has long been over.
    pub(crate) async fn sweep(&self, request: &GcRequest) -> Result<GcReport> {
        let began = Instant::now();
        let mut report = GcReport::default();
        let mut left = request.limit;
        loop {
            let limit = left.min(BATCH);
            if limit == 0 || (report.scanned > 0 && began.elapsed() >= request.time) {
                report.more = true;
                break;
            }
            let (found, removed) = self.batch(limit, &self.sql.expired, &self.sql.sweep).await?;
            report.scanned += found as u64;
            report.removed += removed;
            left -= found;
            if found < limit {
                break;
            }
        }
        self.batch(BATCH, &self.sql.expired_locks, &self.sql.sweep_locks).await?;
        Ok(report)
    }

    /// Looks for expired rows, and deletes those that still are. Returns how
    /// many there were of both.
    async fn batch(&self, limit: usize, find: &SqlStr, delete: &SqlStr) -> Result<(usize, u64)> {
        let limit = [Param::Uint(limit as u64)];
        let found: Answer<Vec<MySqlRow>> =
            self.client.call(OP, Repeat::Harmless, find, &limit).await?;
        let keys: Vec<SessionKey> =
            found.rows.iter().map(|row| record::key(OP, row)).collect::<Result<_>>()?;
        if keys.is_empty() {
            return Ok((0, 0));
        }
        let params: Vec<Param<'_>> = padded(&keys).collect();
        let deleted: Answer<()> = self.client.call(OP, Repeat::Never, delete, &params).await?;
        Ok((keys.len(), deleted.affected))
    }
}
