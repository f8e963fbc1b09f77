//! Two handlers on one store, as of two processes.

use super::cancellation::{dropped, payload, works};
use super::support::*;
use crate::{ErrorKind, SessionHandler};

/// A write by either handler is read by the other, also after it has read
/// something older.
pub async fn what_one_handler_writes_the_other_reads(
    first: impl SessionHandler,
    second: impl SessionHandler,
) {
    let key = fresh_key();
    create(&first, &key, "first", LONG).await;
    holds(&second, &key, "first").await;
    let seen = stored(&second, &key).await.version;
    write(&second, &key, "second", &at(seen)).await;
    holds(&first, &key, "second").await;
}

/// A key that one handler has taken is taken for the other.
pub async fn a_key_is_created_once_by_either_handler(
    first: impl SessionHandler,
    second: impl SessionHandler,
) {
    let key = fresh_key();
    create(&first, &key, "first", LONG).await;
    refused(&second, &key, &creating(LONG), ErrorKind::AlreadyExists).await;
    holds(&second, &key, "first").await;
}

/// A version means the same state to both, and a write by one makes it stale for
/// the other.
pub async fn a_write_by_one_handler_makes_the_others_version_stale(
    first: impl SessionHandler,
    second: impl SessionHandler,
) {
    let key = fresh_key();
    let stale = create(&first, &key, "first", LONG).await;
    let newer = write(&second, &key, "second", &at(stale.clone())).await;
    refused(&first, &key, &at(stale), ErrorKind::Conflict).await;
    write(&first, &key, "third", &at(newer)).await;
    holds(&second, &key, "third").await;
}

/// A touch by one handler extends the lifetime for the other.
pub async fn a_touch_by_one_handler_is_seen_by_the_other(
    first: impl SessionHandler,
    second: impl SessionHandler,
) {
    let key = fresh_key();
    create(&first, &key, "touched", LONG).await;
    stored(&second, &key).await;
    assert!(touch(&first, &key, 2 * LONG).await);
    if let Some(remaining) = stored(&second, &key).await.remaining {
        assert!(remaining > LONG, "a touch by the other handler is not seen");
    }
}

/// What has expired for one handler has expired for the other.
pub async fn a_session_expires_for_both_handlers(
    first: impl SessionHandler,
    second: impl SessionHandler,
) {
    let key = fresh_key();
    create(&second, &key, "dying", SHORT).await;
    expired(&first, &key, SHORT).await;
    gone(&second, &key).await;
}

/// A session that one handler destroys is gone for the other.
pub async fn a_session_that_one_handler_destroys_is_gone_for_the_other(
    first: impl SessionHandler,
    second: impl SessionHandler,
) {
    let key = fresh_key();
    create(&first, &key, "first", LONG).await;
    let seen = stored(&second, &key).await.version;
    let newer = write(&second, &key, "second", &at(seen)).await;
    assert!(first.destroy(&key, Some(&newer)).await.expect("destroy"));
    gone(&second, &key).await;
}

/// Both handlers count the sessions of either.
pub async fn both_handlers_count_the_same_sessions(
    first: impl SessionHandler,
    second: impl SessionHandler,
) {
    create(&first, &fresh_key(), "first", LONG).await;
    create(&second, &fresh_key(), "second", LONG).await;
    for (handler, name) in [(&first as &dyn SessionHandler, "first"), (&second, "second")] {
        if let Some(lister) = handler.lister() {
            assert_eq!(lister.count().await.expect("count"), 2, "by the {name}");
        }
    }
}

/// A lock that one handler gave is held against the other, until it is free.
pub async fn a_lock_of_one_handler_is_held_against_the_other(
    first: impl SessionHandler,
    second: impl SessionHandler,
) {
    let (Some(mine), Some(theirs)) = (first.locker(), second.locker()) else { return };
    let key = fresh_key();
    create(&first, &key, "locked", LONG).await;
    let token = mine.try_lock(&key, LONG).await.expect("lock").expect("a free lock");
    assert!(theirs.try_lock(&key, LONG).await.expect("lock").is_none());
    assert!(mine.unlock(&key, token).await.expect("unlock"));
    assert!(theirs.try_lock(&key, LONG).await.expect("lock").is_some());
}

/// A handler goes on when the other one is dropped.
pub async fn a_handler_works_after_the_other_is_dropped(
    first: impl SessionHandler,
    second: impl SessionHandler,
) {
    let key = fresh_key();
    create(&first, &key, "left", LONG).await;
    drop(first);
    holds(&second, &key, "left").await;
    works_alone(&second).await;
}

/// What was acknowledged is there after the handler is gone, and what was on its
/// way has happened wholly or not.
pub async fn a_handler_dropped_with_calls_in_flight_loses_nothing(
    first: impl SessionHandler,
    second: impl SessionHandler,
) {
    let keys = fresh_keys(8);
    for key in &keys {
        first.write(key, payload(1), &creating(LONG)).await.expect("create");
    }
    let mut done = Vec::new();
    for (polls, key) in keys.iter().enumerate() {
        done.push(dropped(first.write(key, payload(2), &replacing(LONG)), polls).await);
    }
    drop(first);
    for (key, done) in keys.iter().zip(done) {
        let found = stored(&second, key).await.payload;
        assert!(found == payload(2) || (done.is_none() && found == payload(1)), "lost or torn");
        works(&second, key).await;
    }
    works_alone(&second).await;
}

async fn works_alone(handler: &dyn SessionHandler) {
    let key = fresh_key();
    create(handler, &key, "alone", LONG).await;
    works(handler, &key).await;
}
