//! Writes that happen when they must not, in parts, or under the wrong name.

use std::sync::atomic::{AtomicBool, Ordering};

use session_core::{
    Bytes, Error, ErrorKind, MemoryHandler, Operation, Result, SessionHandler, SessionKey, Stored,
    Version, WriteMode, WriteOptions, async_trait,
};
use tokio::task::yield_now;

use super::{Flaw, fails};

/// Stores whatever is there, or not there.
async fn upsert(
    right: &MemoryHandler,
    key: &SessionKey,
    payload: Bytes,
    options: &WriteOptions,
) -> Result<Version> {
    let mut options = options.clone();
    options.mode = WriteMode::Replace;
    match right.write(key, payload.clone(), &options).await {
        Err(err) if err.kind() == ErrorKind::Gone => {
            options.mode = WriteMode::Create;
            right.write(key, payload, &options).await
        }
        result => result,
    }
}

/// Saves with an upsert.
#[derive(Debug, Default)]
struct Upsert;

#[async_trait]
impl Flaw for Upsert {
    async fn write(
        &self,
        right: &MemoryHandler,
        key: &SessionKey,
        payload: Bytes,
        options: &WriteOptions,
    ) -> Result<Version> {
        match right.write(key, payload.clone(), options).await {
            Err(err) if err.kind() == ErrorKind::Gone => upsert(right, key, payload, options).await,
            result => result,
        }
    }
}

#[test]
fn an_upsert_is_noticed() {
    fails::<Upsert>(&[
        "nothing_is_written_under_a_missing_key",
        "a_destroyed_session_is_gone",
        "an_expired_session_is_gone_before_it_is_collected",
        "a_late_write_does_not_bring_a_destroyed_session_back",
        "a_late_write_does_not_bring_an_expired_session_back",
        "a_racing_write_does_not_undo_a_destruction",
        "a_dropped_destruction_happens_wholly_or_not",
        "a_racing_write_does_not_undo_a_revocation",
    ]);
}

/// Checks the mode in one step and writes in another.
#[derive(Debug, Default)]
struct CheckThenWrite;

#[async_trait]
impl Flaw for CheckThenWrite {
    async fn write(
        &self,
        right: &MemoryHandler,
        key: &SessionKey,
        payload: Bytes,
        options: &WriteOptions,
    ) -> Result<Version> {
        let found = right.read(key).await?.map(|stored| stored.version);
        let refusal = match (&options.mode, found) {
            (WriteMode::Create, Some(_)) => Some(ErrorKind::AlreadyExists),
            (WriteMode::Replace | WriteMode::IfVersion(_), None) => Some(ErrorKind::Gone),
            (WriteMode::IfVersion(asked), Some(found)) if *asked != found => {
                Some(ErrorKind::Conflict)
            }
            _ => None,
        };
        if let Some(kind) = refusal {
            return Err(Error::new(kind, Operation::Write, "refused"));
        }
        yield_now().await;
        upsert(right, key, payload, options).await
    }
}

#[test]
fn a_gap_between_check_and_write_is_noticed() {
    fails::<CheckThenWrite>(&[
        "of_parallel_creations_one_wins",
        "of_parallel_writes_from_one_version_one_wins",
        "of_parallel_creations_over_an_expired_record_one_wins",
        "parallel_increments_all_count",
        "a_racing_write_does_not_undo_a_destruction",
        "of_a_write_and_a_destruction_from_one_version_one_wins",
        "a_racing_write_does_not_undo_a_revocation",
    ]);
}

/// Writes one half and then the other.
#[derive(Debug, Default)]
struct Tears;

#[async_trait]
impl Flaw for Tears {
    async fn write(
        &self,
        right: &MemoryHandler,
        key: &SessionKey,
        payload: Bytes,
        options: &WriteOptions,
    ) -> Result<Version> {
        let old = right.read(key).await?.map(|stored| stored.payload).unwrap_or_default();
        let half = payload.len() / 2;
        let torn = [&payload[..half], old.get(half..).unwrap_or_default()].concat();
        let version = right.write(key, torn.into(), options).await?;
        yield_now().await;
        let mut rest = options.clone();
        rest.mode = WriteMode::IfVersion(version);
        right.write(key, payload, &rest).await
    }
}

#[test]
fn a_torn_write_is_noticed() {
    fails::<Tears>(&[
        "readers_see_whole_payloads_in_their_order",
        "parallel_writers_never_mix_their_payloads",
        "a_dropped_creation_happens_wholly_or_not",
        "a_dropped_write_happens_wholly_or_not",
        "a_dropped_conditional_write_happens_wholly_or_not",
    ]);
}

/// Leaves its lock behind when it is dropped.
#[derive(Debug, Default)]
struct Sticks {
    busy: AtomicBool,
}

#[async_trait]
impl Flaw for Sticks {
    async fn write(
        &self,
        right: &MemoryHandler,
        key: &SessionKey,
        payload: Bytes,
        options: &WriteOptions,
    ) -> Result<Version> {
        if self.busy.swap(true, Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Locked, Operation::Write, "busy"));
        }
        yield_now().await;
        let result = right.write(key, payload, options).await;
        self.busy.store(false, Ordering::SeqCst);
        result
    }
}

#[test]
fn a_lock_left_behind_by_a_dropped_call_is_noticed() {
    fails::<Sticks>(&[
        "a_dropped_creation_happens_wholly_or_not",
        "a_dropped_write_happens_wholly_or_not",
        "a_dropped_conditional_write_happens_wholly_or_not",
        "a_dropped_write_does_not_undo_a_destruction",
    ]);
}

/// Ignores the last bit of a key.
#[derive(Debug, Default)]
struct ShortKeys;

fn shorten(key: &SessionKey) -> SessionKey {
    let mut bytes = *key.as_bytes();
    bytes[31] &= 0xfe;
    SessionKey::from_bytes(bytes)
}

#[async_trait]
impl Flaw for ShortKeys {
    async fn read(&self, right: &MemoryHandler, key: &SessionKey) -> Result<Option<Stored>> {
        right.read(&shorten(key)).await
    }

    async fn write(
        &self,
        right: &MemoryHandler,
        key: &SessionKey,
        payload: Bytes,
        options: &WriteOptions,
    ) -> Result<Version> {
        right.write(&shorten(key), payload, options).await
    }
}

#[test]
fn a_key_that_is_cut_short_is_noticed() {
    fails::<ShortKeys>(&["keys_that_differ_in_one_bit_are_different"]);
}

/// Ignores the lock under which to write.
#[derive(Debug, Default)]
struct NoFence;

#[async_trait]
impl Flaw for NoFence {
    async fn write(
        &self,
        right: &MemoryHandler,
        key: &SessionKey,
        payload: Bytes,
        options: &WriteOptions,
    ) -> Result<Version> {
        let mut options = options.clone();
        options.fence = None;
        right.write(key, payload, &options).await
    }
}

#[test]
fn a_missing_fence_is_noticed() {
    fails::<NoFence>(&["a_late_writer_is_fenced_off"]);
}

/// Tells the key and the payload when it refuses.
#[derive(Debug, Default)]
struct Tells;

#[async_trait]
impl Flaw for Tells {
    async fn write(
        &self,
        right: &MemoryHandler,
        key: &SessionKey,
        payload: Bytes,
        options: &WriteOptions,
    ) -> Result<Version> {
        let told = format!("{key}");
        let result = right.write(key, payload, options).await;
        result.map_err(|err| Error::new(err.kind(), err.operation(), "refused").with_source(told))
    }
}

#[test]
fn a_key_in_the_cause_of_an_error_is_noticed() {
    fails::<Tells>(&["errors_give_away_neither_key_nor_payload"]);
}

/// Says that a refused write may have happened.
#[derive(Debug, Default)]
struct Wonders;

#[async_trait]
impl Flaw for Wonders {
    async fn write(
        &self,
        right: &MemoryHandler,
        key: &SessionKey,
        payload: Bytes,
        options: &WriteOptions,
    ) -> Result<Version> {
        let result = right.write(key, payload, options).await;
        result.map_err(|err| err.with_indeterminate(true))
    }
}

#[test]
fn an_indeterminate_refusal_is_noticed() {
    fails::<Wonders>(&["refusals_are_not_indeterminate"]);
}

/// Destroys in one step and says in another what there was.
#[derive(Debug, Default)]
struct LookThenDestroy;

#[async_trait]
impl Flaw for LookThenDestroy {
    async fn destroy(
        &self,
        right: &MemoryHandler,
        key: &SessionKey,
        only_at: Option<&Version>,
    ) -> Result<bool> {
        let Some(found) = right.read(key).await? else { return Ok(false) };
        if only_at.is_some_and(|version| *version != found.version) {
            return Err(Error::new(ErrorKind::Conflict, Operation::Destroy, "refused"));
        }
        yield_now().await;
        right.destroy(key, None).await?;
        Ok(true)
    }
}

#[test]
fn a_gap_between_look_and_destruction_is_noticed() {
    fails::<LookThenDestroy>(&[
        "of_parallel_destructions_one_is_true",
        "of_a_write_and_a_destruction_from_one_version_one_wins",
    ]);
}
