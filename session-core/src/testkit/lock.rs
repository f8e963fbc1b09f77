//! Locks, for handlers that have them.

use std::time::Duration;

use super::schedule::{SCHEDULES, Task};
use super::support::*;
use crate::{ErrorKind, FencingToken, GcRequest, SessionHandler, SessionKey, SessionLocker};

/// One holder at a time; other keys have other locks.
pub async fn a_lock_has_one_holder(handler: &dyn SessionHandler) {
    let Some(locker) = handler.locker() else { return };
    let (key, other) = (fresh_key(), fresh_key());
    let token = taken(locker, &key, LONG).await;
    assert!(try_lock(locker, &key, LONG).await.is_none());
    taken(locker, &other, LONG).await;
    assert!(locker.unlock(&key, token).await.expect("unlock"));
    taken(locker, &key, LONG).await;
}

/// Of parallel attempts exactly one gets the lock.
pub async fn of_parallel_attempts_one_gets_the_lock(handler: &dyn SessionHandler) {
    let Some(locker) = handler.locker() else { return };
    for schedule in SCHEDULES {
        let key = fresh_key();
        let tasks = (0..6).map(|_| -> Task<'_, bool> {
            Box::pin(async move { try_lock(locker, &key, LONG).await.is_some() })
        });
        let got = schedule.run(tasks.collect()).await.into_iter().filter(|got| *got).count();
        assert_eq!(got, 1, "{got} callers hold one lock ({schedule:?})");
    }
}

/// Only the holder frees a lock, and only once.
pub async fn only_the_holder_frees_a_lock(handler: &dyn SessionHandler) {
    let Some(locker) = handler.locker() else { return };
    let key = fresh_key();
    let token = taken(locker, &key, LONG).await;
    for wrong in [FencingToken(token.0 + 1), FencingToken(token.0.wrapping_sub(1))] {
        assert!(!locker.unlock(&key, wrong).await.expect("unlock"));
        assert!(!locker.renew(&key, wrong, LONG).await.expect("renew"));
    }
    assert!(!locker.unlock(&fresh_key(), token).await.expect("unlock"));
    assert!(try_lock(locker, &key, LONG).await.is_none(), "a stranger freed the lock");
    assert!(locker.unlock(&key, token).await.expect("unlock"));
    assert!(!locker.unlock(&key, token).await.expect("unlock"));
    assert!(!locker.renew(&key, token, LONG).await.expect("renew"), "a freed lock was renewed");
}

/// When its lease is over, a lock goes to the next who asks, and its old holder
/// can neither renew nor free it.
pub async fn a_lock_passes_on_when_its_lease_is_over(handler: &dyn SessionHandler) {
    let Some(locker) = handler.locker() else { return };
    let key = fresh_key();
    let old = taken(locker, &key, SHORT).await;
    until(async || try_lock(locker, &key, LONG).await.is_some()).await;
    assert!(!locker.renew(&key, old, LONG).await.expect("renew"));
    assert!(!locker.unlock(&key, old).await.expect("unlock"));
    assert!(try_lock(locker, &key, LONG).await.is_none());
}

/// A lease that was renewed in time does not end when it first would have.
pub async fn a_renewed_lock_is_kept(handler: &dyn SessionHandler) {
    let Some(locker) = handler.locker() else { return };
    // A machine that is too slow for one lease gets a longer one.
    for doublings in 0..10 {
        let (key, lease) = (fresh_key(), SHORT * (4 << doublings));
        let token = taken(locker, &key, lease).await;
        if locker.renew(&key, token, LONG).await.expect("renew") {
            wait(locker, 2 * lease).await;
            assert!(try_lock(locker, &key, LONG).await.is_none(), "a renewed lease ended");
            assert!(locker.unlock(&key, token).await.expect("unlock"));
            return;
        }
    }
    panic!("a lease ends before it can be renewed, even if it lasts minutes");
}

/// A later grant has a greater number, whatever ended the one before it.
pub async fn grants_are_numbered_upwards(handler: &dyn SessionHandler) {
    let Some(locker) = handler.locker() else { return };
    let key = fresh_key();
    create(handler, &key, "first", LONG).await;
    let mut last = taken(locker, &key, SHORT).await;
    for round in 0..8 {
        if round % 2 == 0 {
            locker.unlock(&key, last).await.expect("unlock");
        }
        if round == 3 {
            assert!(destroy(handler, &key).await);
        }
        if round == 5 {
            collect(handler, &GcRequest::default()).await;
        }
        let next = loop {
            match try_lock(locker, &key, SHORT).await {
                Some(token) => break token,
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        };
        assert!(next > last, "{next:?} follows {last:?}");
        last = next;
    }
}

/// A writer whose lock has passed on is refused, in every mode, even when its
/// successor is done; the successor is not.
pub async fn a_late_writer_is_fenced_off(handler: &dyn SessionHandler) {
    let Some(locker) = handler.locker() else { return };
    let key = fresh_key();
    let version = create(handler, &key, "first", LONG).await;
    let late = taken(locker, &key, SHORT).await;
    let mut next = None;
    until(async || {
        next = try_lock(locker, &key, LONG).await;
        next.is_some()
    })
    .await;
    let next = next.expect("the lock");
    for options in [replacing(LONG), at(version)] {
        refused(handler, &key, &options.with_fence(late), ErrorKind::Locked).await;
    }
    holds(handler, &key, "first").await;
    write(handler, &key, "second", &replacing(LONG).with_fence(next)).await;
    assert!(locker.unlock(&key, next).await.expect("unlock"));
    refused(handler, &key, &replacing(LONG).with_fence(late), ErrorKind::Locked).await;
    holds(handler, &key, "second").await;
    let absent = fresh_key();
    let old = taken(locker, &absent, LONG).await;
    locker.unlock(&absent, old).await.expect("unlock");
    taken(locker, &absent, LONG).await;
    refused(handler, &absent, &creating(LONG).with_fence(old), ErrorKind::Locked).await;
    assert!(read(handler, &absent).await.is_none());
}

/// The holder of a lock writes under it as often as it likes.
pub async fn the_holder_writes_under_its_lock(handler: &dyn SessionHandler) {
    let Some(locker) = handler.locker() else { return };
    let key = fresh_key();
    let token = taken(locker, &key, LONG).await;
    write(handler, &key, "first", &creating(LONG).with_fence(token)).await;
    let version = write(handler, &key, "second", &replacing(LONG).with_fence(token)).await;
    write(handler, &key, "third", &at(version).with_fence(token)).await;
    assert!(locker.renew(&key, token, LONG).await.expect("renew"));
    write(handler, &key, "fourth", &replacing(LONG).with_fence(token)).await;
    holds(handler, &key, "fourth").await;
}

/// A lock needs no session and keeps nobody from the session.
pub async fn a_lock_keeps_nobody_from_the_session(handler: &dyn SessionHandler) {
    let Some(locker) = handler.locker() else { return };
    let key = fresh_key();
    let token = taken(locker, &key, LONG).await;
    gone(handler, &key).await;
    create(handler, &key, "first", LONG).await;
    write(handler, &key, "second", &replacing(LONG)).await;
    assert!(touch(handler, &key, LONG).await);
    holds(handler, &key, "second").await;
    assert!(destroy(handler, &key).await);
    assert!(try_lock(locker, &key, LONG).await.is_none(), "a destruction freed the lock");
    assert!(locker.unlock(&key, token).await.expect("unlock"));
}

/// Garbage collection takes no lock away whose lease is not over.
pub async fn gc_leaves_held_locks_alone(handler: &dyn SessionHandler) {
    let Some(locker) = handler.locker() else { return };
    let key = fresh_key();
    create(handler, &key, "first", LONG).await;
    let token = taken(locker, &key, LONG).await;
    collect(handler, &GcRequest::default()).await;
    assert!(try_lock(locker, &key, LONG).await.is_none());
    write(handler, &key, "second", &replacing(LONG).with_fence(token)).await;
}

async fn try_lock(
    locker: &dyn SessionLocker,
    key: &SessionKey,
    lease: Duration,
) -> Option<FencingToken> {
    locker.try_lock(key, lease).await.expect("lock")
}

async fn taken(locker: &dyn SessionLocker, key: &SessionKey, lease: Duration) -> FencingToken {
    try_lock(locker, key, lease).await.expect("a lock that nobody holds was not to be had")
}

/// Waits until a lease that begins now is over by the store's own clock.
async fn wait(locker: &dyn SessionLocker, lease: Duration) {
    let witness = fresh_key();
    taken(locker, &witness, lease).await;
    until(async || try_lock(locker, &witness, LONG).await.is_some()).await;
}
