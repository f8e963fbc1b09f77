//! When a write happens, what it changes, and what a touch does not.

use std::time::Duration;

use super::support::*;
use crate::{ErrorKind, GcRequest, SessionHandler, SessionKey, WriteMode, WriteOptions};

/// A write at the version that is stored goes through.
pub async fn a_write_at_the_current_version_is_accepted(handler: &dyn SessionHandler) {
    let key = fresh_key();
    let first = create(handler, &key, "first", LONG).await;
    let second = write(handler, &key, "second", &at(first)).await;
    let found = stored(handler, &key).await;
    assert_eq!(found.payload, "second");
    assert_eq!(found.version, second);
    write(handler, &key, "third", &at(second)).await;
    holds(handler, &key, "third").await;
}

/// A write from a version that has been overwritten is refused and changes nothing.
pub async fn a_write_from_a_stale_version_is_a_conflict(handler: &dyn SessionHandler) {
    let key = fresh_key();
    let stale = create(handler, &key, "first", LONG).await;
    let current = write(handler, &key, "second", &replacing(LONG)).await;
    refused(handler, &key, &at(stale), ErrorKind::Conflict).await;
    let found = stored(handler, &key).await;
    assert_eq!(found.payload, "second");
    assert_eq!(found.version, current);
}

/// A refused write does not move the end of the lifetime either.
pub async fn a_refused_write_leaves_the_lifetime_alone(handler: &dyn SessionHandler) {
    let key = fresh_key();
    let stale = create(handler, &key, "first", LONG).await;
    write(handler, &key, "second", &replacing(LONG)).await;
    for mode in [WriteMode::Create, WriteMode::IfVersion(stale)] {
        let brief = WriteOptions::new(mode, SHORT);
        let result = handler.write(&key, "refused".into(), &brief).await;
        result.expect_err("a write that must be refused was accepted");
    }
    pass(handler, 2 * SHORT).await;
    holds(handler, &key, "second").await;
}

/// Every write names a new state, with whatever mode.
pub async fn each_write_changes_the_version(handler: &dyn SessionHandler) {
    let key = fresh_key();
    let first = create(handler, &key, "first", LONG).await;
    let second = write(handler, &key, "second", &replacing(LONG)).await;
    let third = write(handler, &key, "third", &at(second.clone())).await;
    assert!(first != second && second != third && first != third);
}

/// A touch does not get in the way of a write that was prepared before it.
pub async fn a_touch_changes_neither_version_nor_payload(handler: &dyn SessionHandler) {
    let key = fresh_key();
    let version = create(handler, &key, "first", LONG).await;
    assert!(touch(handler, &key, 2 * LONG).await);
    let found = stored(handler, &key).await;
    assert_eq!(found.payload, "first");
    assert_eq!(found.version, version);
    write(handler, &key, "second", &at(version)).await;
}

/// A touch gives a session that would end soon a new lifetime.
pub async fn a_touch_extends_the_lifetime(handler: &dyn SessionHandler) {
    let (key, end) = touched_in_time(handler).await;
    pass(handler, end).await;
    holds(handler, &key, "touched").await;
}

/// A session that lives longer than the touch asks for goes on doing so.
pub async fn a_touch_never_shortens_a_lifetime(handler: &dyn SessionHandler) {
    let key = fresh_key();
    create(handler, &key, "first", LONG).await;
    assert!(touch(handler, &key, SHORT).await);
    if let Some(remaining) = stored(handler, &key).await.remaining {
        assert!(remaining > LONG / 2, "a touch left {remaining:?} of {LONG:?}");
    }
    pass(handler, 2 * SHORT).await;
    holds(handler, &key, "first").await;
}

/// No touch passes the absolute deadline that the write set.
pub async fn a_touch_never_passes_the_absolute_deadline(handler: &dyn SessionHandler) {
    let key = fresh_key();
    write(handler, &key, "first", &creating(LONG).with_absolute(LONG)).await;
    assert!(touch(handler, &key, 5 * LONG).await);
    if let Some(remaining) = stored(handler, &key).await.remaining {
        assert!(remaining <= LONG + GRAIN, "a touch left {remaining:?} of {LONG:?}");
    }
    let key = fresh_key();
    let absolute = 5 * SHORT;
    write(handler, &key, "first", &creating(SHORT).with_absolute(absolute)).await;
    touch(handler, &key, LONG).await;
    expired(handler, &key, absolute).await;
    gone(handler, &key).await;
}

/// The last write decides about the absolute deadline: a new one, or none.
pub async fn a_write_sets_the_absolute_deadline_anew(handler: &dyn SessionHandler) {
    let key = fresh_key();
    write(handler, &key, "first", &creating(LONG).with_absolute(LONG)).await;
    write(handler, &key, "free", &replacing(LONG)).await;
    assert!(touch(handler, &key, 5 * LONG).await);
    if let Some(remaining) = stored(handler, &key).await.remaining {
        assert!(remaining > 4 * LONG, "a deadline that was lifted left {remaining:?}");
    }
    write(handler, &key, "bound", &replacing(LONG).with_absolute(SHORT)).await;
    touch(handler, &key, LONG).await;
    expired(handler, &key, SHORT).await;
}

/// A record ends at its absolute deadline, even if its idle lifetime is longer.
pub async fn the_earlier_of_both_deadlines_counts(handler: &dyn SessionHandler) {
    for options in [creating(LONG).with_absolute(SHORT), creating(SHORT).with_absolute(LONG)] {
        let key = fresh_key();
        write(handler, &key, "first", &options).await;
        expired(handler, &key, SHORT).await;
        gone(handler, &key).await;
    }
}

/// A write may shorten the lifetime, as a touch may not.
pub async fn a_write_of_a_shorter_lifetime_takes_effect(handler: &dyn SessionHandler) {
    let key = fresh_key();
    let version = create(handler, &key, "first", LONG).await;
    let brief = WriteOptions::new(WriteMode::IfVersion(version), SHORT);
    write(handler, &key, "second", &brief).await;
    expired(handler, &key, SHORT).await;
    gone(handler, &key).await;
}

/// A late save does not bring a destroyed session back: that would undo a logout.
pub async fn a_late_write_does_not_bring_a_destroyed_session_back(handler: &dyn SessionHandler) {
    let key = fresh_key();
    let version = create(handler, &key, "in", LONG).await;
    assert!(destroy(handler, &key).await);
    refused(handler, &key, &replacing(LONG), ErrorKind::Gone).await;
    refused(handler, &key, &at(version), ErrorKind::Gone).await;
    gone(handler, &key).await;
}

/// A late save does not bring an expired session back, collected or not.
pub async fn a_late_write_does_not_bring_an_expired_session_back(handler: &dyn SessionHandler) {
    let key = fresh_key();
    let version = create(handler, &key, "in", SHORT).await;
    expired(handler, &key, SHORT).await;
    for _ in 0..2 {
        refused(handler, &key, &replacing(LONG), ErrorKind::Gone).await;
        refused(handler, &key, &at(version.clone()), ErrorKind::Gone).await;
        gone(handler, &key).await;
        collect(handler, &GcRequest::default()).await;
    }
}

/// An expired record does not stand in the way of a new one, and lends it nothing.
pub async fn an_expired_record_counts_as_free(handler: &dyn SessionHandler) {
    let key = fresh_key();
    write(handler, &key, "old", &creating(SHORT).with_absolute(SHORT)).await;
    expired(handler, &key, SHORT).await;
    create(handler, &key, "new", LONG).await;
    holds(handler, &key, "new").await;
    collect(handler, &GcRequest::default()).await;
    holds(handler, &key, "new").await;
    assert!(touch(handler, &key, LONG).await);
    refused(handler, &key, &creating(LONG), ErrorKind::AlreadyExists).await;
}

/// A version of a session that ended is no version of its successor.
pub async fn a_version_does_not_outlive_its_session(handler: &dyn SessionHandler) {
    let key = fresh_key();
    let old = create(handler, &key, "old", LONG).await;
    destroy(handler, &key).await;
    create(handler, &key, "new", LONG).await;
    refused(handler, &key, &at(old), ErrorKind::Conflict).await;
    holds(handler, &key, "new").await;
}

/// A conditional destruction removes the session at its version and at no other.
pub async fn a_session_is_destroyed_only_at_its_version(handler: &dyn SessionHandler) {
    let key = fresh_key();
    let stale = create(handler, &key, "first", LONG).await;
    let current = write(handler, &key, "second", &replacing(LONG)).await;
    let result = handler.destroy(&key, Some(&stale)).await;
    let err = result.expect_err("a session was destroyed at a stale version");
    assert_eq!(err.kind(), ErrorKind::Conflict, "{err}");
    assert!(!err.is_indeterminate(), "a refusal says that nothing happened: {err}");
    holds(handler, &key, "second").await;

    assert!(touch(handler, &key, LONG).await, "a touch does not change the version");
    assert!(handler.destroy(&key, Some(&current)).await.expect("destroy"));
    assert!(!handler.destroy(&key, Some(&current)).await.expect("destroy"));
    gone(handler, &key).await;
}

/// A session that has expired is not destroyed any more, under any version.
pub async fn an_expired_session_is_not_destroyed(handler: &dyn SessionHandler) {
    let key = fresh_key();
    let version = create(handler, &key, "first", SHORT).await;
    expired(handler, &key, SHORT).await;
    assert!(!handler.destroy(&key, Some(&version)).await.expect("destroy"));
    assert!(!destroy(handler, &key).await);
}

/// Garbage collection knows of touches: it goes by the end that they set.
pub async fn gc_spares_a_session_that_was_touched(handler: &dyn SessionHandler) {
    let (key, end) = touched_in_time(handler).await;
    pass(handler, end).await;
    collect(handler, &GcRequest::default()).await;
    holds(handler, &key, "touched").await;
}

/// A pointer is read, written, touched and destroyed like any other record.
pub async fn a_pointer_is_a_record_like_any_other(handler: &dyn SessionHandler) {
    let key = fresh_key();
    let version = create(handler, &key, "session", LONG).await;
    let version = write(handler, &key, "pointer", &at(version).as_pointer()).await;
    let found = stored(handler, &key).await;
    assert_eq!(found.payload, "pointer");
    assert_eq!(found.version, version);
    refused(handler, &key, &creating(LONG), ErrorKind::AlreadyExists).await;
    assert!(handler.destroy(&key, Some(&version)).await.expect("destroy"));
    gone(handler, &key).await;
}

/// A pointer is no session: whoever holds the session by its old id and touches
/// it must hear that it is not there any more.
pub async fn a_pointer_is_not_touched(handler: &dyn SessionHandler) {
    let key = fresh_key();
    let version = create(handler, &key, "session", LONG).await;
    write(handler, &key, "pointer", &at(version).as_pointer()).await;
    assert!(!touch(handler, &key, LONG).await, "a pointer was touched as if it were a session");
    assert_eq!(stored(handler, &key).await.payload, "pointer");
}

/// Creates a session with a short lifetime and touches it for a long one before
/// that is over. Returns its key and a time after which the short lifetime is
/// over by every clock that the handler may have.
async fn touched_in_time(handler: &dyn SessionHandler) -> (SessionKey, Duration) {
    // A machine that is too slow for one lifetime gets a longer one.
    for doublings in 0..10 {
        let (key, lifetime) = (fresh_key(), SHORT * (4 << doublings));
        create(handler, &key, "touched", lifetime).await;
        if touch(handler, &key, LONG).await {
            return (key, 2 * lifetime);
        }
    }
    panic!("a session expires before it can be touched, even if it has minutes to live");
}
