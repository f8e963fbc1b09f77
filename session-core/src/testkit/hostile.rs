//! Keys, lifetimes and owners at the edge, and what errors give away.

use std::error::Error as _;
use std::time::Duration;

use super::support::*;
use crate::{
    ErrorKind, GcRequest, Owner, PageRequest, SessionHandler, SessionKey, Version, WriteMode,
    WriteOptions,
};

/// Keys that differ in one bit are different: all their bytes count.
pub async fn keys_that_differ_in_one_bit_are_different(handler: &dyn SessionHandler) {
    let base = fresh_key();
    create(handler, &base, "base", LONG).await;
    for bit in 0..256 {
        let mut bytes = *base.as_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let near = SessionKey::from_bytes(bytes);
        assert!(read(handler, &near).await.is_none(), "bit {bit} of a key is ignored");
        assert!(!touch(handler, &near, LONG).await, "a touch ignores bit {bit} of a key");
        if bit % 16 == 5 {
            create(handler, &near, "near", LONG).await;
            assert!(destroy(handler, &near).await);
        }
        assert!(!destroy(handler, &near).await, "a destruction ignores bit {bit} of a key");
    }
    holds(handler, &base, "base").await;
}

/// Keys are bytes: letters of two cases, blanks at the end, terminators and
/// separators do not confuse them.
pub async fn keys_have_no_case_blank_or_separator(handler: &dyn SessionHandler) {
    let ends: [&[u8]; 12] = [
        b"aaaa",
        b"AAAA",
        b"aaaA",
        b"a   ",
        b"a\0\0\0",
        b"\0\0\0\0",
        b"    ",
        b"/../",
        b"%00*",
        b"\xc3\xa9aa",
        b"\xff\xff\xff\xff",
        b":{}'",
    ];
    let start = fresh_key();
    let keys = ends.map(|end| {
        let mut bytes = *start.as_bytes();
        bytes[28..].copy_from_slice(end);
        SessionKey::from_bytes(bytes)
    });
    let uniform = [0, b' ', b'/', b'.', 0xff].map(|byte| SessionKey::from_bytes([byte; 32]));
    let keys = [&keys[..], &uniform[..]].concat();
    for (number, key) in keys.iter().enumerate() {
        let payload = number.to_string().into();
        handler.write(key, payload, &creating(LONG)).await.expect("two keys are taken for one");
    }
    for (number, key) in keys.iter().enumerate() {
        holds(handler, key, &number.to_string()).await;
        assert!(destroy(handler, key).await);
    }
}

/// A lifetime of zero is over at once: written, and gone.
pub async fn a_lifetime_of_zero_is_over_at_once(handler: &dyn SessionHandler) {
    let zero = Duration::ZERO;
    for options in [creating(zero), creating(LONG).with_absolute(zero)] {
        let key = fresh_key();
        write(handler, &key, "never", &options).await;
        expired(handler, &key, zero).await;
        gone(handler, &key).await;
        create(handler, &key, "after", LONG).await;
        holds(handler, &key, "after").await;
        write(handler, &key, "ended", &replacing(zero)).await;
        expired(handler, &key, zero).await;
        gone(handler, &key).await;
    }
}

/// A touch for no time at all does no harm.
pub async fn a_touch_for_no_time_leaves_the_lifetime_alone(handler: &dyn SessionHandler) {
    let key = fresh_key();
    create(handler, &key, "first", LONG).await;
    assert!(touch(handler, &key, Duration::ZERO).await);
    pass(handler, SHORT).await;
    holds(handler, &key, "first").await;
}

/// The longest lifetime there is neither overflows nor comes out short.
pub async fn the_longest_lifetime_does_not_overflow(handler: &dyn SessionHandler) {
    let years = Duration::from_secs(400 * 24 * 3600);
    for lifetime in [Duration::MAX, Duration::from_secs(u64::MAX / 1000), years] {
        let key = fresh_key();
        let options = creating(lifetime).with_absolute(lifetime);
        let version = write(handler, &key, "first", &options).await;
        assert!(touch(handler, &key, lifetime).await);
        let mut aged = at(version).with_absolute(lifetime);
        aged.idle = lifetime;
        aged.age = lifetime;
        write(handler, &key, "second", &aged).await;
        let found = stored(handler, &key).await;
        assert_eq!(found.payload, "second");
        if let Some(remaining) = found.remaining {
            assert!(remaining + Duration::from_secs(60) > years, "only {remaining:?} remain");
        }
        collect(handler, &GcRequest::default()).await;
        holds(handler, &key, "second").await;
        assert!(destroy(handler, &key).await);
    }
}

/// A lifetime that is no whole number of seconds is one, and ends.
pub async fn parts_of_a_second_are_a_lifetime(handler: &dyn SessionHandler) {
    for lifetime in [Duration::from_nanos(1), Duration::from_micros(1500), SHORT] {
        let key = fresh_key();
        create(handler, &key, "first", lifetime).await;
        expired(handler, &key, lifetime).await;
        gone(handler, &key).await;
    }
}

/// Owners are compared byte for byte, up to the longest name there is.
pub async fn owners_are_compared_byte_for_byte(handler: &dyn SessionHandler) {
    let Some(index) = handler.index() else { return };
    let long = "é".repeat(Owner::MAX_LEN / 2);
    let longest = "x".repeat(Owner::MAX_LEN);
    let nearly = format!("{}y", "x".repeat(Owner::MAX_LEN - 1));
    let names = [
        "ann", "Ann", "ann ", " ann", "änn", "an", "ann\0", "ann:1", "ann*", "a_n", "a%n", "a'n",
        "a\\n", "{ann}", "../ann", "$ann", "\n", &long, &longest, &nearly,
    ];
    let owners = names.map(|name| Owner::new(name).expect("a name"));
    let mut keys = Vec::new();
    for owner in &owners {
        let key = fresh_key();
        write(handler, &key, "owned", &creating(LONG).with_owner(owner.clone())).await;
        keys.push(key);
    }
    for (owner, key) in owners.iter().zip(&keys) {
        let page = index.sessions(owner, &PageRequest::first(100)).await.expect("sessions");
        let [meta] = &page.items[..] else {
            panic!("{:?} has {} sessions, not one", owner.as_str(), page.items.len());
        };
        assert_eq!(meta.key, *key);
    }
    for owner in &owners {
        assert_eq!(index.revoke(owner, None).await.expect("revoke"), 1);
    }
}

/// Neither errors nor `Debug` repeat a key or a payload.
pub async fn errors_give_away_neither_key_nor_payload(handler: &dyn SessionHandler) {
    let secret = "hunter2-hunter2";
    let key = fresh_key();
    let stale = create(handler, &key, secret, LONG).await;
    write(handler, &key, secret, &replacing(LONG)).await;
    let absent = fresh_key();
    let modes = [
        (&key, WriteMode::Create),
        (&key, WriteMode::IfVersion(stale.clone())),
        (&absent, WriteMode::Replace),
        (&absent, WriteMode::IfVersion(Version::counter(1))),
    ];
    let mut texts = vec![format!("{handler:?} {stale:?}")];
    for (key, mode) in modes {
        let result = handler.write(key, secret.into(), &WriteOptions::new(mode, LONG)).await;
        texts.push(told(&result.expect_err("a write that must be refused was accepted")));
    }
    let conflict = handler.destroy(&key, Some(&stale)).await;
    texts.push(told(&conflict.expect_err("a session was destroyed at a stale version")));
    for text in texts {
        let lower = text.to_lowercase();
        assert!(!text.contains(secret), "a payload is given away");
        for key in [&key, &absent] {
            assert!(!lower.contains(&key.to_string()), "a key is given away");
        }
    }
}

/// Refusals say that nothing happened, so that callers need not wonder.
pub async fn refusals_are_not_indeterminate(handler: &dyn SessionHandler) {
    let key = fresh_key();
    let stale = create(handler, &key, "first", LONG).await;
    write(handler, &key, "second", &replacing(LONG)).await;
    refused(handler, &key, &creating(LONG), ErrorKind::AlreadyExists).await;
    refused(handler, &key, &at(stale), ErrorKind::Conflict).await;
    refused(handler, &fresh_key(), &replacing(LONG), ErrorKind::Gone).await;
    holds(handler, &key, "second").await;
}

/// Everything that an error has to say, down to its first cause.
fn told(err: &crate::Error) -> String {
    let mut text = format!("{err} {err:?}");
    let mut source = err.source();
    while let Some(cause) = source {
        text += &format!(" {cause} {cause:?}");
        source = cause.source();
    }
    text
}
