//! What needs a clock that stands still; the rest is the conformance kit's.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::MemoryHandler;
use crate::{
    Bytes, ErrorKind, GcRequest, ManualClock, PageRequest, SessionHandler, SessionIndex,
    SessionKey, SessionLister, SessionLocker, WriteMode, WriteOptions,
};

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

fn at_rest() -> (MemoryHandler, ManualClock) {
    let clock = ManualClock::new();
    (MemoryHandler::new().with_clock(Arc::new(clock.clone())), clock)
}

fn key(number: u8) -> SessionKey {
    SessionKey::from_bytes([number; 32])
}

async fn create(handler: &MemoryHandler, number: u8, options: &WriteOptions) {
    let options = WriteOptions { mode: WriteMode::Create, ..options.clone() };
    handler.write(&key(number), Bytes::new(), &options).await.unwrap();
}

fn living(idle: Duration) -> WriteOptions {
    WriteOptions::new(WriteMode::Create, idle)
}

#[tokio::test]
async fn a_lifetime_is_over_at_its_last_millisecond() {
    let (handler, clock) = at_rest();
    create(&handler, 1, &living(SECOND)).await;
    clock.advance(SECOND - MILLISECOND);
    let stored = handler.read(&key(1)).await.unwrap().unwrap();
    assert_eq!(stored.remaining, Some(MILLISECOND));
    clock.advance(MILLISECOND);
    assert!(handler.read(&key(1)).await.unwrap().is_none());
    assert!(!handler.touch(&key(1), SECOND).await.unwrap());
    assert!(!handler.destroy(&key(1), None).await.unwrap());
}

#[tokio::test]
async fn a_touch_stops_at_the_absolute_deadline() {
    let (handler, clock) = at_rest();
    create(&handler, 1, &living(SECOND).with_absolute(3 * SECOND)).await;
    clock.advance(SECOND / 2);
    assert!(handler.touch(&key(1), 60 * SECOND).await.unwrap());
    let left = handler.read(&key(1)).await.unwrap().unwrap().remaining;
    assert_eq!(left, Some(3 * SECOND - SECOND / 2));
}

#[tokio::test]
async fn garbage_is_collected_in_steps_that_end_where_the_keys_end() {
    let (handler, clock) = at_rest();
    for number in 0..10 {
        let idle = if number < 6 { SECOND } else { 60 * SECOND };
        create(&handler, number, &living(idle)).await;
    }
    clock.advance(SECOND);
    let mut removed = Vec::new();
    loop {
        let report = handler.gc(&GcRequest::new(4)).await.unwrap();
        removed.push(report.removed);
        assert!(report.scanned <= 4);
        if !report.more {
            break;
        }
    }
    assert_eq!(removed, [4, 2, 0]);
    assert_eq!(handler.count().await.unwrap(), 4);
}

#[tokio::test]
async fn a_step_that_is_out_of_time_still_gets_on() {
    let (handler, clock) = at_rest();
    for number in [3, 200] {
        create(&handler, number, &living(SECOND)).await;
    }
    clock.advance(SECOND);
    let request = GcRequest { time: Duration::ZERO, ..GcRequest::default() };
    let first = handler.gc(&request).await.unwrap();
    assert_eq!((first.removed, first.more), (1, true));
    let second = handler.gc(&request).await.unwrap();
    assert_eq!(second.removed, 1);
}

#[tokio::test]
async fn collected_garbage_leaves_the_index() {
    let (handler, clock) = at_rest();
    let owner = crate::Owner::new("ann").unwrap();
    create(&handler, 1, &living(SECOND).with_owner(owner.clone())).await;
    clock.advance(SECOND);
    assert_eq!(handler.store.owned(&owner, None, 9), [key(1)]);
    handler.gc(&GcRequest::default()).await.unwrap();
    assert_eq!(handler.store.owned(&owner, None, 9), []);
}

#[tokio::test]
async fn a_slow_holder_goes_on_while_nobody_else_wants_the_lock() {
    let (handler, clock) = at_rest();
    create(&handler, 1, &living(60 * SECOND)).await;
    let slow = handler.try_lock(&key(1), SECOND).await.unwrap().unwrap();
    clock.advance(2 * SECOND);
    let late = WriteOptions::new(WriteMode::Replace, 60 * SECOND).with_fence(slow);
    handler.write(&key(1), Bytes::new(), &late).await.unwrap();

    let next = handler.try_lock(&key(1), SECOND).await.unwrap().unwrap();
    assert!(next > slow);
    let err = handler.write(&key(1), Bytes::new(), &late).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Locked);
}

#[tokio::test]
async fn ten_thousand_sessions_are_listed_in_pages() {
    let (handler, _) = at_rest();
    for number in 0..10_000_u32 {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&number.wrapping_mul(0x9e37_79b9).to_be_bytes());
        let key = SessionKey::from_bytes(bytes);
        handler.write(&key, Bytes::new(), &living(SECOND)).await.unwrap();
    }
    let (mut seen, mut request) = (BTreeSet::new(), PageRequest::first(300));
    loop {
        let page = handler.list(&request).await.unwrap();
        let before = seen.len();
        seen.extend(page.items.iter().map(|meta| meta.key));
        assert_eq!(seen.len(), before + page.items.len());
        let Some(next) = page.next else { break };
        request = PageRequest::at(next, 300);
    }
    assert_eq!(seen.len(), 10_000);
}

#[tokio::test]
async fn a_cursor_of_another_engine_is_refused() {
    let (handler, _) = at_rest();
    let request = PageRequest::at(crate::Cursor::new(Bytes::from_static(b"17")), 10);
    let owner = crate::Owner::new("ann").unwrap();
    assert_eq!(handler.list(&request).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    let err = handler.sessions(&owner, &request).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn clones_share_one_store() {
    let (handler, _) = at_rest();
    create(&handler, 1, &living(SECOND)).await;
    assert!(handler.clone().destroy(&key(1), None).await.unwrap());
    assert_eq!(handler.count().await.unwrap(), 0);
}
