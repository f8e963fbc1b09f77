//! What every store does: create, read, write, touch, destroy, forget.

use std::time::{Duration, Instant};

use super::support::*;
use crate::{Bytes, ErrorKind, GcRequest, SessionHandler};

/// Calling `open` twice is fine, and a handler has a name.
pub async fn opening_twice_is_harmless(handler: &dyn SessionHandler) {
    handler.open().await.expect("open");
    handler.open().await.expect("open again");
    assert!(!handler.info().name.is_empty());
}

/// Absence is not an error.
pub async fn a_missing_session_is_none_and_not_an_error(handler: &dyn SessionHandler) {
    assert!(read(handler, &fresh_key()).await.is_none());
}

/// A read gives what the creation stored, under the version it returned.
pub async fn what_is_created_is_read_back(handler: &dyn SessionHandler) {
    let key = fresh_key();
    let version = create(handler, &key, "first", LONG).await;
    let found = stored(handler, &key).await;
    assert_eq!(found.payload, "first");
    assert_eq!(found.version, version);
    assert!(read(handler, &fresh_key()).await.is_none());
}

/// A creation never touches an existing record.
pub async fn a_key_is_created_once(handler: &dyn SessionHandler) {
    let key = fresh_key();
    let version = create(handler, &key, "first", LONG).await;
    refused(handler, &key, &creating(LONG), ErrorKind::AlreadyExists).await;
    let found = stored(handler, &key).await;
    assert_eq!(found.payload, "first");
    assert_eq!(found.version, version);
}

/// There is no upsert: only a creation puts a record under a key.
pub async fn nothing_is_written_under_a_missing_key(handler: &dyn SessionHandler) {
    let key = fresh_key();
    refused(handler, &key, &replacing(LONG), ErrorKind::Gone).await;
    gone(handler, &key).await;
}

/// A write replaces the payload and restarts the lifetime, longer or shorter.
pub async fn a_write_replaces_payload_and_lifetime(handler: &dyn SessionHandler) {
    let key = fresh_key();
    create(handler, &key, "first, and longer", LONG).await;
    write(handler, &key, "second", &replacing(2 * LONG)).await;
    let found = stored(handler, &key).await;
    assert_eq!(found.payload, "second");
    if let Some(remaining) = found.remaining {
        assert!(remaining > LONG + LONG / 2, "{remaining:?} of {:?}", 2 * LONG);
    }
    write(handler, &key, "third", &replacing(SHORT)).await;
    expired(handler, &key, SHORT).await;
    gone(handler, &key).await;
}

/// A touch of what is not there is `false` and leaves nothing behind.
pub async fn touching_a_missing_session_creates_nothing(handler: &dyn SessionHandler) {
    let key = fresh_key();
    assert!(!touch(handler, &key, LONG).await);
    gone(handler, &key).await;
    create(handler, &key, "first", LONG).await;
    holds(handler, &key, "first").await;
}

/// Destroying what is not there is `false` and not an error.
pub async fn destroying_a_missing_session_is_false(handler: &dyn SessionHandler) {
    let key = fresh_key();
    assert!(!destroy(handler, &key).await);
    create(handler, &key, "first", LONG).await;
    assert!(destroy(handler, &key).await);
    assert!(!destroy(handler, &key).await);
}

/// A destroyed session can be neither read, touched, written nor destroyed
/// again, and its neighbour notices nothing.
pub async fn a_destroyed_session_is_gone(handler: &dyn SessionHandler) {
    let (key, neighbour) = (fresh_key(), fresh_key());
    create(handler, &key, "first", LONG).await;
    create(handler, &neighbour, "neighbour", LONG).await;
    assert!(destroy(handler, &key).await);
    gone(handler, &key).await;
    holds(handler, &neighbour, "neighbour").await;
}

/// The stored deadline decides, whether or not the bytes are still there.
pub async fn an_expired_session_is_gone_before_it_is_collected(handler: &dyn SessionHandler) {
    let key = fresh_key();
    create(handler, &key, "first", SHORT).await;
    expired(handler, &key, SHORT).await;
    gone(handler, &key).await;
}

/// Garbage collection counts what it removes and never removes a live session.
///
/// Stores that expire records by themselves have nothing to count.
pub async fn gc_removes_what_expired_and_spares_the_living(handler: &dyn SessionHandler) {
    let (dying, living) = (fresh_keys(5), fresh_keys(5));
    for key in &living {
        create(handler, key, "living", LONG).await;
    }
    for key in &dying {
        create(handler, key, "dying", SHORT).await;
    }
    for key in &dying {
        expired(handler, key, SHORT).await;
    }
    let removed = collect(handler, &GcRequest::default()).await;
    if !handler.info().expires_natively {
        assert_eq!(removed, 5);
        assert_eq!(collect(handler, &GcRequest::default()).await, 0);
    }
    for key in &living {
        holds(handler, key, "living").await;
    }
}

/// One step looks at no more records than it may, and the next one goes on.
pub async fn gc_goes_on_where_its_limit_stopped_it(handler: &dyn SessionHandler) {
    let (dying, living) = (fresh_keys(7), fresh_keys(7));
    for key in &living {
        create(handler, key, "living", LONG).await;
    }
    for key in &dying {
        create(handler, key, "dying", SHORT).await;
    }
    for key in &dying {
        expired(handler, key, SHORT).await;
    }
    // The walk may have begun anywhere, so two of them see everything.
    let step = GcRequest::new(2);
    let removed = collect(handler, &step).await + collect(handler, &step).await;
    if !handler.info().expires_natively {
        assert_eq!(removed, 7);
    }
    for key in &living {
        holds(handler, key, "living").await;
    }
}

/// A lifetime is right to the second, and to the millisecond if the store can.
pub async fn a_lifetime_ends_neither_early_nor_late(handler: &dyn SessionHandler) {
    let key = fresh_key();
    let lifetime = GRAIN + Duration::from_millis(500);
    let begin = Instant::now();
    create(handler, &key, "first", lifetime).await;
    let after = Instant::now();
    loop {
        let found = read(handler, &key).await;
        let elapsed = begin.elapsed();
        if found.is_none() {
            assert!(elapsed + GRAIN >= lifetime, "{lifetime:?} were over after {elapsed:?}");
            return;
        }
        if elapsed > lifetime / 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    expired(handler, &key, lifetime.saturating_sub(after.elapsed())).await;
}

/// What is left of the lifetime is what was given, minus what has passed, if
/// the store can tell.
pub async fn the_remaining_lifetime_is_right(handler: &dyn SessionHandler) {
    let key = fresh_key();
    let begin = Instant::now();
    create(handler, &key, "first", LONG).await;
    let Some(remaining) = stored(handler, &key).await.remaining else { return };
    assert!(remaining <= LONG + GRAIN, "{remaining:?} of {LONG:?}");
    assert!(remaining + begin.elapsed() + GRAIN >= LONG, "{remaining:?} of {LONG:?}");
}

/// No payload at all is not the same as no session.
pub async fn an_empty_payload_is_a_session(handler: &dyn SessionHandler) {
    let key = fresh_key();
    create(handler, &key, "", LONG).await;
    holds(handler, &key, "").await;
    write(handler, &key, "some", &replacing(LONG)).await;
    write(handler, &key, "", &replacing(LONG)).await;
    holds(handler, &key, "").await;
    assert!(touch(handler, &key, LONG).await);
    assert!(destroy(handler, &key).await);
}

/// Payloads are bytes: no terminator, no character set, no escape.
pub async fn payloads_come_back_byte_for_byte(handler: &dyn SessionHandler) {
    let all: Vec<u8> = (0..=u8::MAX).collect();
    let odd: [&[u8]; 8] = [
        b"\0",
        b"a\0b\0",
        b"\0\0\0\0",
        b" trailing blank ",
        b"line\r\nline\n",
        b"'\"\\%_; -- ${x} $$ {1}",
        b"\xff\xfe\xc3\x28\xf0\x9f\x92\xa9",
        &all,
    ];
    for payload in odd {
        let (key, payload) = (fresh_key(), Bytes::copy_from_slice(payload));
        handler.write(&key, payload.clone(), &creating(LONG)).await.expect("create");
        assert_eq!(stored(handler, &key).await.payload, payload);
        let twice = Bytes::from([&payload[..], &payload[..]].concat());
        handler.write(&key, twice.clone(), &replacing(LONG)).await.expect("write");
        assert_eq!(stored(handler, &key).await.payload, twice);
    }
}

/// A payload of 1 MiB comes back whole, grows from little and shrinks again.
///
/// Stores that say they take less are asked for as much as they take.
pub async fn a_mebibyte_is_a_session(handler: &dyn SessionHandler) {
    let size = handler.info().max_payload.map_or(1 << 20, |max| max.min(1 << 20));
    let large: Bytes = (0..size).map(|i| (i % 251) as u8).collect();
    let key = fresh_key();
    create(handler, &key, "little", LONG).await;
    handler.write(&key, large.clone(), &replacing(LONG)).await.expect("write");
    assert!(stored(handler, &key).await.payload == large, "1 MiB came back different");
    write(handler, &key, "little", &replacing(LONG)).await;
    holds(handler, &key, "little").await;
    let another = fresh_key();
    handler.write(&another, large.clone(), &creating(LONG)).await.expect("create");
    assert!(stored(handler, &another).await.payload == large, "1 MiB came back different");
}
