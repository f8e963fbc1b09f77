//! Listing all sessions, a page at a time.

use std::fmt;

use async_trait::async_trait;

use super::{Page, PageRequest};
use crate::Result;

/// The ability to list all live sessions.
#[async_trait]
pub trait SessionLister: fmt::Debug + Send + Sync {
    /// Returns one page of live sessions.
    ///
    /// A session that lives through the whole listing is on exactly one page;
    /// one that is created or destroyed meanwhile may be missing. Expired
    /// records and pointers are never listed.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a cursor that no page
    /// of this listing had.
    async fn list(&self, request: &PageRequest) -> Result<Page>;

    /// Returns how many live sessions there are, in one call, which may take
    /// long where there are many. [`SessionManager::count`](crate::SessionManager::count)
    /// asks page by page instead.
    async fn count(&self) -> Result<u64>;
}
