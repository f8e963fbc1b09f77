//! Locks that two can hold, or anyone can free.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use session_core::{FencingToken, MemoryHandler, Result, SessionKey, SessionLocker, async_trait};
use tokio::task::yield_now;

use super::{Flaw, fails};

/// Looks whether a lock is free in one step and takes it in another, frees it
/// for anyone, and numbers all grants alike.
#[derive(Debug, Default)]
struct Careless {
    until: Mutex<HashMap<SessionKey, Instant>>,
}

impl Careless {
    fn is_held(&self, key: &SessionKey) -> bool {
        self.until.lock().unwrap().get(key).is_some_and(|until| *until > Instant::now())
    }
}

impl Flaw for Careless {
    fn locker<'a>(&'a self, _: &'a MemoryHandler) -> Option<&'a dyn SessionLocker> {
        Some(self)
    }
}

#[async_trait]
impl SessionLocker for Careless {
    async fn try_lock(&self, key: &SessionKey, lease: Duration) -> Result<Option<FencingToken>> {
        if self.is_held(key) {
            return Ok(None);
        }
        yield_now().await;
        self.until.lock().unwrap().insert(*key, Instant::now() + lease);
        Ok(Some(FencingToken(1)))
    }

    async fn renew(&self, key: &SessionKey, _: FencingToken, _: Duration) -> Result<bool> {
        Ok(self.is_held(key))
    }

    async fn unlock(&self, key: &SessionKey, _: FencingToken) -> Result<bool> {
        Ok(self.until.lock().unwrap().remove(key).is_some())
    }
}

#[test]
fn a_careless_lock_is_noticed() {
    fails::<Careless>(&[
        "of_parallel_attempts_one_gets_the_lock",
        "only_the_holder_frees_a_lock",
        "a_lock_passes_on_when_its_lease_is_over",
        "a_renewed_lock_is_kept",
        "grants_are_numbered_upwards",
    ]);
}
