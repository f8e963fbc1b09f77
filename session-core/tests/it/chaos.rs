//! Chaos does what it is told, and only that.

use std::time::Duration;

use session_core::testkit::{Chaos, Counts};
use session_core::{
    Bytes, ErrorKind, MemoryHandler, Operation, SessionHandler, SessionKey, WriteMode, WriteOptions,
};

const KEY: SessionKey = SessionKey::from_bytes([7; 32]);
const LONG: Duration = Duration::from_secs(3600);

fn creating() -> WriteOptions {
    WriteOptions::new(WriteMode::Create, LONG)
}

#[tokio::test]
async fn a_failed_call_does_not_reach_the_store() {
    let chaos = Chaos::new(MemoryHandler::new());
    chaos.fail(Operation::Create, ErrorKind::StorageFull);
    for _ in 0..2 {
        let err = chaos.write(&KEY, Bytes::new(), &creating()).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::StorageFull);
        assert!(!err.is_indeterminate());
    }
    assert!(chaos.read(&KEY).await.unwrap().is_none());
    chaos.heal();
    chaos.write(&KEY, Bytes::new(), &creating()).await.unwrap();
}

#[tokio::test]
async fn a_failure_that_happens_once_does_not_happen_twice() {
    let chaos = Chaos::new(MemoryHandler::new());
    chaos.fail_once(Operation::Read, ErrorKind::Unavailable);
    assert!(chaos.read(&KEY).await.is_err());
    assert!(chaos.read(&KEY).await.is_ok());
}

#[tokio::test]
async fn a_call_whose_reply_is_lost_has_happened() {
    let chaos = Chaos::new(MemoryHandler::new());
    chaos.lose_reply(Operation::Create);
    let err = chaos.write(&KEY, Bytes::new(), &creating()).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Unavailable);
    assert!(err.is_indeterminate());
    assert!(chaos.read(&KEY).await.unwrap().is_some());
}

#[tokio::test]
async fn a_held_call_waits_before_the_store_and_a_held_reply_behind_it() {
    let chaos = Chaos::new(MemoryHandler::new());
    let spawn = |chaos: Chaos| {
        tokio::spawn(async move { chaos.write(&KEY, Bytes::new(), &creating()).await })
    };
    let hold = chaos.hold(Operation::Create);
    let call = spawn(chaos.clone());
    hold.reached().await;
    assert!(chaos.read(&KEY).await.unwrap().is_none());
    hold.release();
    call.await.unwrap().unwrap();
    assert!(chaos.destroy(&KEY, None).await.unwrap());

    chaos.heal();
    let hold = chaos.hold_reply(Operation::Create);
    let call = spawn(chaos.clone());
    hold.reached().await;
    assert!(chaos.read(&KEY).await.unwrap().is_some());
    assert!(!call.is_finished());
    drop(hold);
    call.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_delayed_call_takes_that_long() {
    let chaos = Chaos::new(MemoryHandler::new());
    chaos.delay(Operation::Touch, LONG);
    let begin = tokio::time::Instant::now();
    assert!(!chaos.touch(&KEY, LONG).await.unwrap());
    assert_eq!(begin.elapsed(), LONG);
}

#[tokio::test]
async fn calls_and_bytes_are_counted_by_clones_together() {
    let chaos = Chaos::new(MemoryHandler::new());
    let payload = Bytes::from_static(b"12345");
    let replacing = WriteOptions::new(WriteMode::Replace, LONG);
    chaos.clone().write(&KEY, payload.clone(), &creating()).await.unwrap();
    chaos.write(&KEY, payload, &replacing).await.unwrap();
    chaos.read(&KEY).await.unwrap();
    chaos.touch(&KEY, LONG).await.unwrap();
    chaos.destroy(&KEY, None).await.unwrap();
    chaos.gc(&Default::default()).await.unwrap();
    let all = Counts {
        reads: 1,
        creates: 1,
        writes: 1,
        touches: 1,
        destroys: 1,
        gcs: 1,
        bytes_written: 10,
    };
    assert_eq!(chaos.counts(), all);
    assert_eq!(chaos.take_counts(), all);
    assert_eq!(chaos.counts(), Counts::default());
}
