//! An index that does not follow.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use session_core::{
    Bytes, MemoryHandler, Owner, Page, PageRequest, Result, SessionHandler, SessionIndex,
    SessionKey, SessionMeta, Version, WriteOptions, async_trait,
};
use tokio::task::yield_now;

use super::{Flaw, fails};

/// Keeps an index that only writes change.
#[derive(Debug, Default)]
struct ForgetsDestruction {
    owners: Mutex<BTreeMap<SessionKey, Owner>>,
}

#[async_trait]
impl Flaw for ForgetsDestruction {
    async fn write(
        &self,
        right: &MemoryHandler,
        key: &SessionKey,
        payload: Bytes,
        options: &WriteOptions,
    ) -> Result<Version> {
        let version = right.write(key, payload, options).await?;
        let mut owners = self.owners.lock().unwrap();
        match &options.owner {
            Some(owner) => owners.insert(*key, owner.clone()),
            None => owners.remove(key),
        };
        Ok(version)
    }

    fn index<'a>(&'a self, _: &'a MemoryHandler) -> Option<&'a dyn SessionIndex> {
        Some(self)
    }
}

#[async_trait]
impl SessionIndex for ForgetsDestruction {
    async fn sessions(&self, owner: &Owner, _: &PageRequest) -> Result<Page> {
        let owners = self.owners.lock().unwrap();
        let keys = owners.iter().filter(|(_, bound)| *bound == owner).map(|(key, _)| *key);
        let meta = |key| SessionMeta::new(key, Duration::ZERO, Duration::ZERO, Duration::ZERO);
        Ok(Page::new(keys.map(meta).collect(), None))
    }

    async fn revoke(&self, _: &Owner, _: Option<&SessionKey>) -> Result<u64> {
        Ok(0)
    }

    async fn cap(&self, _: &Owner, _: usize, _: &SessionKey) -> Result<u64> {
        Ok(0)
    }
}

#[test]
fn an_index_that_forgets_destruction_is_noticed() {
    fails::<ForgetsDestruction>(&[
        "the_index_follows_destruction",
        "the_index_follows_expiry",
        "pointers_are_not_in_the_index",
        "revoking_ends_all_sessions_of_an_owner",
        "a_cap_ends_the_oldest_sessions",
    ]);
}

/// Takes pointers for sessions.
#[derive(Debug, Default)]
struct CountsPointers;

#[async_trait]
impl Flaw for CountsPointers {
    async fn write(
        &self,
        right: &MemoryHandler,
        key: &SessionKey,
        payload: Bytes,
        options: &WriteOptions,
    ) -> Result<Version> {
        let mut options = options.clone();
        options.pointer = false;
        right.write(key, payload, &options).await
    }
}

#[test]
fn a_pointer_taken_for_a_session_is_noticed() {
    fails::<CountsPointers>(&[
        "only_live_sessions_are_listed",
        "pointers_are_not_in_the_index",
        "a_cap_counts_live_sessions_only",
    ]);
}

/// Looks once which sessions there are, and then ends those.
#[derive(Debug, Default)]
struct RevokesOnce(Revoker);

#[derive(Debug, Default)]
struct Revoker(Mutex<Option<MemoryHandler>>);

impl Revoker {
    fn right(&self) -> MemoryHandler {
        self.0.lock().unwrap().clone().unwrap_or_default()
    }
}

#[async_trait]
impl Flaw for RevokesOnce {
    fn index<'a>(&'a self, right: &'a MemoryHandler) -> Option<&'a dyn SessionIndex> {
        *self.0.0.lock().unwrap() = Some(right.clone());
        Some(&self.0)
    }
}

#[async_trait]
impl SessionIndex for Revoker {
    async fn sessions(&self, owner: &Owner, request: &PageRequest) -> Result<Page> {
        self.right().sessions(owner, request).await
    }

    async fn revoke(&self, owner: &Owner, except: Option<&SessionKey>) -> Result<u64> {
        let right = self.right();
        let page = right.sessions(owner, &PageRequest::first(100)).await?;
        yield_now().await;
        let mut revoked = 0;
        for meta in page.items.iter().filter(|meta| Some(&meta.key) != except) {
            revoked += u64::from(right.destroy(&meta.key, None).await?);
        }
        Ok(revoked)
    }

    async fn cap(&self, owner: &Owner, max: usize, keep: &SessionKey) -> Result<u64> {
        self.right().cap(owner, max, keep).await
    }
}

#[test]
fn a_revocation_that_looks_once_is_noticed() {
    fails::<RevokesOnce>(&["a_session_that_changes_its_id_is_revoked"]);
}
