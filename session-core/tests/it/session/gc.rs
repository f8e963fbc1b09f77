//! Collecting what has expired.

use std::time::Duration;

use session_core::testkit::ScriptedRandom;
use session_core::{ErrorKind, Gc, Lottery, Operation, SessionManager};

use super::support::{Rig, SECOND, kind, respond, settle};

#[tokio::test]
async fn a_collection_takes_what_expired_and_nothing_else() {
    let rig = Rig::new();
    for idle in [1, 1, 1, 100, 100] {
        rig.stored(|s| {
            s.set("k", 1)?;
            s.set_idle(Some(SECOND * idle))
        })
        .await;
    }
    rig.clock.advance(SECOND);
    assert_eq!(rig.sessions.gc().await.unwrap().removed, 3);
    assert_eq!(rig.sessions.gc().await.unwrap().removed, 0);
    assert_eq!(rig.count().await, 2);
}

#[tokio::test(start_paused = true)]
async fn collections_come_at_their_interval_until_they_are_stopped() {
    let rig = Rig::new();
    let gc = Gc::spawn(&rig.sessions, SECOND * 600).unwrap();
    tokio::time::sleep(SECOND * 601).await;
    let first = rig.chaos.counts().gcs;
    assert!((1..=2).contains(&first), "{first}");
    tokio::time::sleep(SECOND * 661).await;
    assert!(rig.chaos.counts().gcs > first);

    gc.stop();
    gc.stop();
    let stopped = rig.chaos.counts().gcs;
    tokio::time::sleep(SECOND * 6000).await;
    assert_eq!(rig.chaos.counts().gcs, stopped);
}

#[tokio::test(start_paused = true)]
async fn a_collector_that_is_dropped_stops_and_an_error_stops_none() {
    let rig = Rig::new();
    rig.chaos.fail(Operation::Gc, ErrorKind::Unavailable);
    let gc = Gc::spawn(&rig.sessions, SECOND * 10).unwrap();
    tokio::time::sleep(SECOND * 100).await;
    let tries = rig.chaos.counts().gcs;
    assert!(tries >= 8, "{tries}");
    assert_eq!(rig.events.count("Unseen") as u64, tries);
    drop(gc);
    tokio::time::sleep(SECOND * 100).await;
    assert_eq!(rig.chaos.counts().gcs, tries);
}

#[test]
fn a_collector_that_could_never_run_is_an_error() {
    let rig = Rig::new();
    assert_eq!(kind(Gc::spawn(&rig.sessions, Duration::ZERO)), ErrorKind::InvalidConfig);
    let outside = Gc::spawn(&rig.sessions, SECOND);
    assert_eq!(kind(outside), ErrorKind::InvalidConfig);
}

#[tokio::test]
async fn the_lottery_collects_as_often_as_it_is_drawn() {
    // Eight bytes of 0 draw 0, and eight of 255 draw 615 in 1000.
    for (byte, probability, collections) in [(0, 0, 0), (0, 1, 1), (255, 615, 0), (255, 616, 1)] {
        let rig = Rig::with(|p| p.lottery = Some(Lottery::new(probability, 1000)));
        let id = rig.stored(|s| s.set("k", 1)).await;
        let rig = rig.with_random(ScriptedRandom::new([byte]).repeating());
        respond(&rig.load(&id).await).await.0.unwrap();
        settle().await;
        assert_eq!(rig.chaos.counts().gcs, collections, "{byte} {probability}");
    }
}

#[tokio::test]
async fn work_that_nobody_runs_is_reported() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("k", 1)).await;
    let session = rig.load(&id).await;
    session.destroy().unwrap();
    // Outside of every runtime there is no place for the logout.
    std::thread::spawn(move || drop(session)).join().unwrap();
    assert_eq!(rig.events.count("Unseen"), 1);
}

#[tokio::test]
async fn a_manager_without_settings_works() {
    let sessions = SessionManager::new(session_core::MemoryHandler::new());
    let session = sessions.create();
    session.set("k", 1).unwrap();
    session.save().await.unwrap();
    assert_eq!(sessions.count().await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_holds_up_no_collector() {
    let rig = Rig::new();
    let hold = rig.chaos.hold(Operation::Gc);
    assert_eq!(kind(rig.sessions.gc().await), ErrorKind::Timeout);
    assert_eq!(rig.events.count("Call"), 1, "a step is a call like any other");

    let gc = Gc::spawn(&rig.sessions, SECOND * 10).unwrap();
    tokio::time::sleep(SECOND * 100).await;
    let tries = rig.chaos.counts().gcs;
    assert!(tries >= 6, "{tries}");
    gc.stop();
    tokio::time::sleep(SECOND * 100).await;
    assert_eq!(rig.chaos.counts().gcs, tries);
    drop(hold);
    rig.sessions.gc().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_step_may_take_its_own_time_and_the_deadline() {
    let rig = Rig::new();
    rig.chaos.delay(Operation::Gc, SECOND * 5 / 2);
    rig.sessions.gc().await.unwrap();
}
