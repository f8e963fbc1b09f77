//! Garbage collection that removes the living.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Instant;

use session_core::{
    Bytes, GcReport, GcRequest, MemoryHandler, Result, SessionHandler, SessionKey, Version,
    WriteOptions, async_trait,
};
use tokio::task::yield_now;

use super::{Flaw, fails};

/// Remembers when what was written ends, and knows nothing of touches.
#[derive(Debug, Default)]
struct IgnoresTouches {
    ends: Mutex<HashMap<SessionKey, Instant>>,
}

#[async_trait]
impl Flaw for IgnoresTouches {
    async fn write(
        &self,
        right: &MemoryHandler,
        key: &SessionKey,
        payload: Bytes,
        options: &WriteOptions,
    ) -> Result<Version> {
        let end = Instant::now() + options.lifetime();
        let version = right.write(key, payload, options).await?;
        self.ends.lock().unwrap().insert(*key, end);
        Ok(version)
    }

    async fn gc(&self, right: &MemoryHandler, request: &GcRequest) -> Result<GcReport> {
        let now = Instant::now();
        let ends = self.ends.lock().unwrap().clone();
        for (key, _) in ends.into_iter().filter(|(_, end)| *end <= now) {
            right.destroy(&key, None).await?;
        }
        right.gc(request).await
    }
}

#[test]
fn a_gc_that_ignores_touches_is_noticed() {
    fails::<IgnoresTouches>(&["gc_spares_a_session_that_was_touched", "the_index_follows_touches"]);
}

/// Looks for expired records in one step and removes them in another.
#[derive(Debug, Default)]
struct LooksThenRemoves {
    keys: Mutex<Vec<SessionKey>>,
}

#[async_trait]
impl Flaw for LooksThenRemoves {
    async fn write(
        &self,
        right: &MemoryHandler,
        key: &SessionKey,
        payload: Bytes,
        options: &WriteOptions,
    ) -> Result<Version> {
        let version = right.write(key, payload, options).await?;
        self.keys.lock().unwrap().push(*key);
        Ok(version)
    }

    async fn gc(&self, right: &MemoryHandler, _: &GcRequest) -> Result<GcReport> {
        let keys = std::mem::take(&mut *self.keys.lock().unwrap());
        let mut expired = Vec::new();
        for key in keys {
            if right.read(&key).await?.is_none() {
                expired.push(key);
            }
        }
        yield_now().await;
        for key in expired {
            right.destroy(&key, None).await?;
        }
        Ok(GcReport::default())
    }
}

#[test]
fn a_gc_that_removes_a_successor_is_noticed() {
    fails::<LooksThenRemoves>(&["a_racing_gc_never_removes_a_successor"]);
}

/// Collects nothing and says so.
#[derive(Debug, Default)]
struct Idles;

#[async_trait]
impl Flaw for Idles {
    async fn gc(&self, _: &MemoryHandler, _: &GcRequest) -> Result<GcReport> {
        Ok(GcReport::default())
    }
}

#[test]
fn a_gc_that_does_nothing_is_noticed() {
    fails::<Idles>(&[
        "gc_removes_what_expired_and_spares_the_living",
        "gc_goes_on_where_its_limit_stopped_it",
    ]);
}
