//! What a collection of expired records is asked, and what it answers.

use std::time::Duration;

/// One step of garbage collection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GcRequest {
    /// Records to look at, at the most. Bounds the work of one step. Default 10,000.
    pub limit: usize,
    /// How long a step may take. Default 1 s.
    pub time: Duration,
}

impl Default for GcRequest {
    fn default() -> Self {
        Self { limit: 10_000, time: Duration::from_secs(1) }
    }
}

impl GcRequest {
    /// Asks for a step of at most `limit` records.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }
}

/// What one step of garbage collection did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GcReport {
    /// Expired records that were removed.
    pub removed: u64,
    /// Records that were looked at.
    pub scanned: u64,
    /// Records that were left alone because they do not verify or cannot be read.
    pub skipped: u64,
    /// Whether the walk is not at its end, so that another step is worth making.
    pub more: bool,
}
