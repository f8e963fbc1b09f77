//! Dropped futures. A caller may go away at any moment.
//!
//! Each case drops a call's future at its first poll, its second, and so on,
//! until the call is done before it is dropped. What the call began may still
//! happen after that, so both states are right; a mixture or a stuck store is not.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use super::support::*;
use crate::{Bytes, ErrorKind, GcRequest, SessionHandler, SessionKey};

/// No call is polled more often than this, if it is one round trip or a few.
const MOST_POLLS: usize = 1000;

/// A dropped read has no effect.
pub async fn a_dropped_read_leaves_the_session_alone(handler: &dyn SessionHandler) {
    let key = fresh_key();
    create(handler, &key, "first", LONG).await;
    for polls in 0..MOST_POLLS {
        let done = dropped(handler.read(&key), polls).await;
        holds(handler, &key, "first").await;
        if let Some(found) = done {
            assert_eq!(found.expect("read").expect("session").payload, "first");
            return;
        }
    }
}

/// A dropped creation has stored the whole session or none, and the key works.
pub async fn a_dropped_creation_happens_wholly_or_not(handler: &dyn SessionHandler) {
    for polls in 0..MOST_POLLS {
        let key = fresh_key();
        let done = dropped(handler.write(&key, payload(1), &creating(LONG)), polls).await;
        if let Some(found) = read(handler, &key).await {
            assert!(found.payload == payload(1), "a dropped creation left a part");
        }
        // It may happen between these two calls, so one of them finds the key free or taken.
        match handler.write(&key, payload(2), &creating(LONG)).await {
            Ok(_) => assert!(done.is_none(), "the creation happened, and so did another"),
            Err(err) => assert_eq!(err.kind(), ErrorKind::AlreadyExists, "{err}"),
        }
        // Without destroying it: what was dropped may happen as late as that.
        changes(handler, &key).await;
        if let Some(result) = done {
            result.expect("create");
            return;
        }
    }
}

/// A dropped write leaves the old payload or the new one, and the session works.
pub async fn a_dropped_write_happens_wholly_or_not(handler: &dyn SessionHandler) {
    for polls in 0..MOST_POLLS {
        let key = fresh_key();
        handler.write(&key, payload(1), &creating(LONG)).await.expect("create");
        let done = dropped(handler.write(&key, payload(2), &replacing(LONG)), polls).await;
        let found = stored(handler, &key).await.payload;
        assert!(found == payload(2) || (done.is_none() && found == payload(1)), "half-written");
        works(handler, &key).await;
        if let Some(result) = done {
            result.expect("write");
            return;
        }
    }
}

/// A dropped conditional write leaves the old payload or the new one, and
/// whoever reads again can write.
pub async fn a_dropped_conditional_write_happens_wholly_or_not(handler: &dyn SessionHandler) {
    for polls in 0..MOST_POLLS {
        let key = fresh_key();
        let version = handler.write(&key, payload(1), &creating(LONG)).await.expect("create");
        let done = dropped(handler.write(&key, payload(2), &at(version)), polls).await;
        let found = stored(handler, &key).await.payload;
        assert!(found == payload(2) || (done.is_none() && found == payload(1)), "half-written");
        works(handler, &key).await;
        if let Some(result) = done {
            result.expect("write");
            return;
        }
    }
}

/// A dropped touch changes neither payload nor version.
pub async fn a_dropped_touch_leaves_the_payload_alone(handler: &dyn SessionHandler) {
    for polls in 0..MOST_POLLS {
        let key = fresh_key();
        let version = create(handler, &key, "first", LONG).await;
        let done = dropped(handler.touch(&key, 2 * LONG), polls).await;
        holds(handler, &key, "first").await;
        write(handler, &key, "second", &at(version)).await;
        works(handler, &key).await;
        if let Some(result) = done {
            assert!(result.expect("touch"));
            return;
        }
    }
}

/// A dropped destruction leaves the session or nothing, and can be repeated.
pub async fn a_dropped_destruction_happens_wholly_or_not(handler: &dyn SessionHandler) {
    for polls in 0..MOST_POLLS {
        let key = fresh_key();
        create(handler, &key, "first", LONG).await;
        let done = dropped(handler.destroy(&key, None), polls).await;
        if let Some(found) = read(handler, &key).await {
            assert!(done.is_none(), "destroyed, and still there");
            assert_eq!(found.payload, "first");
        }
        destroy(handler, &key).await;
        gone(handler, &key).await;
        if let Some(result) = done {
            assert!(result.expect("destroy"));
            return;
        }
    }
}

/// A write that was dropped does not undo the destruction that came after it.
pub async fn a_dropped_write_does_not_undo_a_destruction(handler: &dyn SessionHandler) {
    let mut keys = Vec::new();
    for polls in 0..MOST_POLLS {
        let key = fresh_key();
        handler.write(&key, payload(1), &creating(LONG)).await.expect("create");
        let done = dropped(handler.write(&key, payload(2), &replacing(LONG)), polls).await;
        assert!(destroy(handler, &key).await, "nobody else destroys this session");
        gone(handler, &key).await;
        keys.push(key);
        if done.is_some() {
            break;
        }
    }
    // Once more, when what was dropped has had time to happen.
    pass(handler, SHORT).await;
    for key in keys {
        gone(handler, &key).await;
    }
}

/// A dropped garbage collection keeps nobody else from collecting, and no live
/// session from living.
pub async fn a_dropped_gc_can_be_repeated(handler: &dyn SessionHandler) {
    let (living, dying) = (fresh_keys(5), fresh_keys(5));
    for key in &living {
        create(handler, key, "living", LONG).await;
    }
    for key in &dying {
        create(handler, key, "dying", SHORT).await;
    }
    for key in &dying {
        expired(handler, key, SHORT).await;
    }
    let request = GcRequest::default();
    for polls in 0..MOST_POLLS {
        let done = dropped(handler.gc(&request), polls).await;
        if let Some(result) = done {
            result.expect("gc");
            break;
        }
    }
    collect(handler, &request).await;
    for key in &living {
        works(handler, key).await;
    }
    for key in &dying {
        gone(handler, key).await;
    }
}

/// A lock whose taking was dropped is free, or is so when its lease is over.
pub async fn a_dropped_lock_becomes_free(handler: &dyn SessionHandler) {
    let Some(locker) = handler.locker() else { return };
    for polls in 0..MOST_POLLS {
        let key = fresh_key();
        let done = dropped(locker.try_lock(&key, SHORT), polls).await;
        until(async || locker.try_lock(&key, LONG).await.expect("lock").is_some()).await;
        if let Some(result) = done {
            assert!(result.expect("lock").is_some());
            return;
        }
    }
}

/// Polls a future this many times, each time that it is woken, and drops it.
/// Returns what it gave if it was done by then.
pub(super) async fn dropped<T>(future: impl Future<Output = T>, polls: usize) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            // The last poll has set things going; that is the moment to drop.
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Expects that a session can be changed and destroyed as if nothing had been.
pub(super) async fn works(handler: &dyn SessionHandler, key: &SessionKey) {
    changes(handler, key).await;
    assert!(destroy(handler, key).await);
    gone(handler, key).await;
}

/// Expects that a session can be changed.
async fn changes(handler: &dyn SessionHandler, key: &SessionKey) {
    assert!(touch(handler, key, 2 * LONG).await);
    // What was dropped may still happen, but only once.
    let mut conflicts = 0;
    loop {
        let version = stored(handler, key).await.version;
        match handler.write(key, payload(3), &at(version)).await {
            Ok(_) => break,
            Err(err) => assert_eq!(err.kind(), ErrorKind::Conflict, "{err}"),
        }
        conflicts += 1;
        assert!(conflicts < 3, "a write that was dropped happens again and again");
    }
}

/// Makes a payload large enough to be written in parts.
pub(super) fn payload(number: u8) -> Bytes {
    vec![number; 256 * 1024].into()
}
