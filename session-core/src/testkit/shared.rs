//! Two handlers on one store, as of two processes.

use super::cancellation::{dropped, payload, works};
use super::support::*;
use crate::{ErrorKind, SessionHandler};

/// What one handler does the other one sees, and neither trusts what it has seen itself.
pub async fn two_handlers_on_one_store_agree(
    first: impl SessionHandler,
    second: impl SessionHandler,
) {
    let key = fresh_key();
    let stale = create(&first, &key, "first", LONG).await;
    holds(&second, &key, "first").await;
    refused(&second, &key, &creating(LONG), ErrorKind::AlreadyExists).await;

    let seen = stored(&second, &key).await.version;
    let newer = write(&second, &key, "second", &at(seen)).await;
    holds(&first, &key, "second").await;
    refused(&first, &key, &at(stale), ErrorKind::Conflict).await;

    assert!(touch(&first, &key, 2 * LONG).await);
    if let Some(remaining) = stored(&second, &key).await.remaining {
        assert!(remaining > LONG, "a touch by the other handler is not seen");
    }
    for (handler, name) in [(&first as &dyn SessionHandler, "first"), (&second, "second")] {
        if let Some(lister) = handler.lister() {
            assert_eq!(lister.count().await.expect("count"), 1, "by the {name}");
        }
    }

    let dying = fresh_key();
    create(&second, &dying, "dying", SHORT).await;
    expired(&first, &dying, SHORT).await;
    gone(&second, &dying).await;

    // A lock is a lock for both.
    if let (Some(mine), Some(theirs)) = (first.locker(), second.locker()) {
        let token = mine.try_lock(&key, LONG).await.expect("lock").expect("a free lock");
        assert!(theirs.try_lock(&key, LONG).await.expect("lock").is_none());
        assert!(mine.unlock(&key, token).await.expect("unlock"));
    }

    assert!(first.destroy(&key, Some(&newer)).await.expect("destroy"));
    gone(&second, &key).await;
    drop(first);
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
