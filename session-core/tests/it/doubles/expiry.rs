//! Sessions that are served after their time.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use session_core::{
    Bytes, MemoryHandler, Result, SessionHandler, SessionKey, Stored, Version, WriteOptions,
    async_trait,
};

use super::{Flaw, fails};

/// Serves what was stored until it is destroyed or collected.
#[derive(Debug, Default)]
struct ServesExpired {
    stored: Mutex<HashMap<SessionKey, Stored>>,
}

#[async_trait]
impl Flaw for ServesExpired {
    async fn read(&self, _: &MemoryHandler, key: &SessionKey) -> Result<Option<Stored>> {
        Ok(self.stored.lock().unwrap().get(key).cloned())
    }

    async fn write(
        &self,
        right: &MemoryHandler,
        key: &SessionKey,
        payload: Bytes,
        options: &WriteOptions,
    ) -> Result<Version> {
        let version = right.write(key, payload.clone(), options).await?;
        self.stored.lock().unwrap().insert(*key, Stored::new(payload, version.clone()));
        Ok(version)
    }

    async fn destroy(
        &self,
        right: &MemoryHandler,
        key: &SessionKey,
        only_at: Option<&Version>,
    ) -> Result<bool> {
        let destroyed = right.destroy(key, only_at).await?;
        self.stored.lock().unwrap().remove(key);
        Ok(destroyed)
    }
}

#[test]
fn a_read_that_serves_expired_sessions_is_noticed() {
    fails::<ServesExpired>(&[
        "an_expired_session_is_gone_before_it_is_collected",
        "a_lifetime_ends_neither_early_nor_late",
        "the_earlier_of_both_deadlines_counts",
        "a_write_of_a_shorter_lifetime_takes_effect",
        "a_lifetime_of_zero_is_over_at_once",
        "parts_of_a_second_are_a_lifetime",
    ]);
}

/// Makes lifetimes whole minutes, rounded down.
#[derive(Debug, Default)]
struct CutsShort;

#[async_trait]
impl Flaw for CutsShort {
    async fn write(
        &self,
        right: &MemoryHandler,
        key: &SessionKey,
        payload: Bytes,
        options: &WriteOptions,
    ) -> Result<Version> {
        let mut options = options.clone();
        options.idle = Duration::from_secs(options.idle.as_secs() / 60 * 60);
        right.write(key, payload, &options).await
    }
}

#[test]
fn a_lifetime_in_whole_minutes_is_noticed() {
    fails::<CutsShort>(&["a_lifetime_ends_neither_early_nor_late"]);
}
