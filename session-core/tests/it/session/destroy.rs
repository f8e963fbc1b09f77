//! Logouts, and everything that must not undo them.

use session_core::testkit::Counts;
use session_core::{
    Bytes, CookieAction, ErrorKind, Operation, Save, SessionHandler, SessionKey, Status, WriteMode,
    WriteOptions,
};

use super::support::{Rig, SECOND, is_set, key, kind, respond, respond_with, settle};

#[tokio::test]
async fn a_destroyed_session_is_gone_under_its_id() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("k", 1)).await;
    let session = rig.load(&id).await;
    session.destroy().unwrap();
    assert_eq!((session.id(), session.get::<i64>("k").unwrap()), (None, None));
    let (saved, cookie) = respond(&session).await;
    saved.unwrap();
    assert_eq!(cookie, CookieAction::Remove);
    assert_eq!(rig.load(&id).await.status(), Status::Unknown);
    assert_eq!(rig.count().await, 0);
}

#[tokio::test]
async fn destroying_what_was_never_stored_costs_and_says_nothing() {
    let rig = Rig::new();
    let session = rig.sessions.create();
    session.destroy().unwrap();
    let (saved, cookie) = respond(&session).await;
    saved.unwrap();
    assert_eq!((cookie, rig.chaos.counts()), (CookieAction::Keep, Counts::default()));
}

#[tokio::test]
async fn what_is_set_after_a_destroy_is_a_new_session() {
    let rig = Rig::new();
    let old = rig.stored(|s| s.set("old", 1)).await;
    rig.clock.advance(SECOND * 5);
    let session = rig.load(&old).await;
    session.destroy().unwrap();
    session.set("a", 1).unwrap();
    let (saved, cookie) = respond(&session).await;
    saved.unwrap();
    assert!(is_set(&cookie));
    let new = session.id().unwrap();
    assert_ne!(new, old);
    let session = rig.load(&new).await;
    assert_eq!(session.keys().unwrap(), ["a"]);
    assert!(session.age().is_zero());
    assert_eq!(rig.count().await, 1);
}

#[tokio::test]
async fn a_late_save_does_not_bring_a_destroyed_session_back() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("k", 1)).await;
    let late = rig.neighbour().load(&id).await;
    late.set("k", 2).unwrap();
    let session = rig.load(&id).await;
    session.destroy().unwrap();
    session.save().await.unwrap();
    let (saved, cookie) = respond(&late).await;
    assert_eq!(kind(saved), ErrorKind::Gone);
    assert_eq!(cookie, CookieAction::Remove);
    assert_eq!(kind(late.set("k", 3)), ErrorKind::Gone);
    assert_eq!(kind(late.increment("n", 3)), ErrorKind::Gone);
    assert_eq!(rig.count().await, 0);
}

#[tokio::test]
async fn a_late_touch_does_not_bring_a_destroyed_session_back() {
    let rig = Rig::with(|p| p.rolling = true);
    let id = rig.stored(|s| s.set("k", 1)).await;
    rig.clock.advance(SECOND * 1000);
    let late = rig.load(&id).await;
    rig.sessions.destroy(&key(&id)).await.unwrap();
    let (saved, cookie) = respond(&late).await;
    saved.unwrap();
    assert!(!is_set(&cookie), "a dead id is not handed out again");
    assert_eq!(rig.count().await, 0);
}

#[tokio::test]
async fn a_destroy_ends_what_was_written_meanwhile() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("k", 1)).await;
    let (session, other) = (rig.load(&id).await, rig.load(&id).await);
    other.set("k", 2).unwrap();
    other.save().await.unwrap();
    session.destroy().unwrap();
    session.save().await.unwrap();
    assert_eq!(rig.count().await, 0);
}

#[tokio::test]
async fn a_logout_that_arrives_by_the_old_id_ends_the_session() {
    for grace in [0, 10] {
        let rig = Rig::with(|p| p.grace = SECOND * grace);
        let old = rig.stored(|s| s.set("k", 1)).await;
        let session = rig.load(&old).await;
        session.regenerate().unwrap();
        session.save().await.unwrap();
        rig.clock.advance(SECOND * 59);

        let by_old = rig.neighbour().load(&old).await;
        by_old.destroy().unwrap();
        let (saved, cookie) = respond(&by_old).await;
        saved.unwrap();
        assert_eq!(cookie, CookieAction::Remove);
        assert_eq!(rig.load(&session.id().unwrap()).await.status(), Status::Unknown);
        assert_eq!(rig.count().await, 0);
        session.set("k", 2).unwrap();
        assert_eq!(kind(session.save().await), ErrorKind::Gone);
    }
}

#[tokio::test]
async fn a_logout_that_was_loaded_in_time_works_after_the_pointer_has_gone() {
    let rig = Rig::new();
    let old = rig.stored(|s| s.set("k", 1)).await;
    let session = rig.load(&old).await;
    session.regenerate().unwrap();
    session.save().await.unwrap();
    rig.clock.advance(SECOND * 59);
    let by_old = rig.load(&old).await;
    rig.clock.advance(SECOND * 2);
    by_old.destroy().unwrap();
    by_old.save().await.unwrap();
    assert_eq!(rig.count().await, 0);
}

#[tokio::test]
async fn a_logout_ends_a_session_that_this_request_has_found_moved() {
    let rig = Rig::new();
    for notice in ["a save", "a change of id", "a refresh", "a touch", "a reload"] {
        let old = rig.stored(|s| s.set("k", 1)).await;
        rig.clock.advance(SECOND * 1000);
        let logout = rig.load(&old).await;
        let other = rig.neighbour().load(&old).await;
        other.regenerate().unwrap();
        other.save().await.unwrap();
        match notice {
            "a refresh" => assert!(!logout.refresh().await.unwrap()),
            "a touch" => logout.save().await.unwrap(),
            "a reload" => assert_eq!(kind(logout.reload().await), ErrorKind::Gone),
            _ => {
                logout.set("k", 2).unwrap();
                if notice == "a change of id" {
                    logout.regenerate().unwrap();
                }
                assert_eq!(kind(logout.save().await), ErrorKind::Gone);
            }
        }
        assert_eq!(kind(logout.set("k", 3)), ErrorKind::Gone, "{notice}");
        assert_eq!(kind(logout.reload().await), ErrorKind::Gone, "{notice}");
        assert_eq!(rig.count().await, 1, "{notice}");
        rig.clock.advance(SECOND * 61);
        logout.destroy().unwrap();
        let (saved, cookie) = respond(&logout).await;
        saved.unwrap();
        assert_eq!((cookie, rig.count().await), (CookieAction::Remove, 0), "{notice}");
        assert_eq!(rig.load(&other.id().unwrap()).await.status(), Status::Unknown);
    }
}

#[tokio::test]
async fn a_logout_ends_the_session_that_was_begun_beside_a_moved_one_too() {
    let rig = Rig::new();
    let old = rig.stored(|s| s.set("k", 1)).await;
    let session = rig.load(&old).await;
    session.regenerate().unwrap();
    session.save().await.unwrap();
    let by_old = rig.load(&old).await;
    by_old.set("k", 2).unwrap();
    by_old.save().await.unwrap();
    assert_eq!(rig.count().await, 2);
    by_old.destroy().unwrap();
    by_old.save().await.unwrap();
    assert_eq!(rig.count().await, 0);
}

#[tokio::test]
async fn a_logout_finds_a_session_that_moved_after_it_was_loaded() {
    let rig = Rig::new();
    let old = rig.stored(|s| s.set("k", 1)).await;
    let (logout, session) = (rig.load(&old).await, rig.load(&old).await);
    for _ in 0..12 {
        session.regenerate().unwrap();
        session.save().await.unwrap();
    }
    logout.destroy().unwrap();
    logout.save().await.unwrap();
    assert_eq!(rig.count().await, 0);
    assert_eq!(rig.load(&session.id().unwrap()).await.status(), Status::Unknown);
}

#[tokio::test]
async fn a_logout_that_fails_is_an_error_and_the_cookie_goes_anyway() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("k", 1)).await;
    let session = rig.load(&id).await;
    session.destroy().unwrap();
    rig.chaos.fail(Operation::Destroy, ErrorKind::Unavailable);
    let (saved, cookie) = respond(&session).await;
    assert_eq!(kind(saved), ErrorKind::Unavailable);
    assert_eq!(cookie, CookieAction::Remove);
    rig.chaos.heal();
    session.save().await.unwrap();
    assert_eq!(rig.count().await, 0);
}

#[tokio::test]
async fn a_logout_in_doubt_is_repeated_by_the_next_try() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("k", 1)).await;
    let session = rig.load(&id).await;
    session.destroy().unwrap();
    rig.chaos.lose_reply(Operation::Destroy);
    assert!(session.save().await.unwrap_err().is_indeterminate());
    rig.chaos.heal();
    session.save().await.unwrap();
    assert_eq!(rig.count().await, 0);
}

#[tokio::test]
async fn a_logout_happens_though_the_request_is_dropped_or_panics() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("k", 1)).await;
    let session = rig.load(&id).await;
    session.destroy().unwrap();
    drop(session);
    settle().await;
    assert_eq!(rig.count().await, 0);

    let id = rig.stored(|s| s.set("k", 1)).await;
    let session = rig.load(&id).await;
    let request = tokio::spawn(async move {
        session.destroy().unwrap();
        panic!("a handler fails");
    });
    assert!(request.await.unwrap_err().is_panic());
    settle().await;
    assert_eq!(rig.count().await, 0);
}

#[tokio::test]
async fn a_logout_during_the_first_save_ends_the_session_too() {
    let rig = Rig::new();
    let session = rig.sessions.create();
    session.set("k", 1).unwrap();
    let hold = rig.chaos.hold(Operation::Create);
    let save = tokio::spawn({
        let session = session.clone();
        async move { session.save().await }
    });
    hold.reached().await;
    session.destroy().unwrap();
    assert_eq!(session.get::<i64>("k").unwrap(), None);
    hold.release();
    save.await.unwrap().unwrap();
    let (saved, cookie) = respond(&session).await;
    saved.unwrap();
    assert_eq!(cookie, CookieAction::Keep);
    assert_eq!((session.id(), rig.count().await), (None, 0));
}

#[tokio::test]
async fn a_logout_during_a_change_of_id_ends_the_session_too() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("k", 1)).await;
    let session = rig.load(&id).await;
    session.regenerate().unwrap();
    let hold = rig.chaos.hold(Operation::Write);
    let save = tokio::spawn({
        let session = session.clone();
        async move { session.save().await }
    });
    hold.reached().await;
    session.destroy().unwrap();
    session.set("fresh", 1).unwrap();
    hold.release();
    save.await.unwrap().unwrap();
    let (saved, cookie) = respond(&session).await;
    saved.unwrap();
    let CookieAction::Set { id, .. } = cookie else { panic!("the new session has an id") };
    assert_eq!(rig.load(&id).await.keys().unwrap(), ["fresh"]);
    assert_eq!(rig.count().await, 1);
}

#[tokio::test]
async fn a_session_that_was_begun_and_ended_in_one_request_hands_out_no_cookie() {
    let rig = Rig::new();
    let session = rig.sessions.create();
    session.set("k", 1).unwrap();
    session.save().await.unwrap();
    session.destroy().unwrap();
    let (saved, cookie) = respond(&session).await;
    saved.unwrap();
    assert_eq!(cookie, CookieAction::Keep);
    assert_eq!(rig.count().await, 0);
}

#[tokio::test]
async fn a_lifetime_of_nothing_ends_the_session_and_its_cookie() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("k", 1)).await;
    let session = rig.load(&id).await;
    session.set_idle(Some(std::time::Duration::ZERO)).unwrap();
    let (saved, cookie) = respond(&session).await;
    saved.unwrap();
    assert_eq!((cookie, rig.count().await), (CookieAction::Remove, 0));
}

#[tokio::test]
async fn a_failed_request_logs_out_all_the_same() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("k", 1)).await;
    let session = rig.load(&id).await;
    session.destroy().unwrap();
    respond_with(&session, Save::Endings).await.0.unwrap();
    assert_eq!(rig.count().await, 0);
}

#[tokio::test]
async fn a_logout_ends_a_record_that_this_version_cannot_read() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("k", 1)).await;
    // As a process of the next version writes it while both are in service.
    let mut payload = rig.chaos.read(&key(&id)).await.unwrap().unwrap().payload.to_vec();
    payload[3] += 1;
    let options = WriteOptions::new(WriteMode::Replace, SECOND * 60);
    rig.chaos.write(&key(&id), Bytes::from(payload), &options).await.unwrap();
    let session = rig.load(&id).await;
    assert_eq!(session.status(), Status::Unknown);
    session.destroy().unwrap();
    let (saved, cookie) = respond(&session).await;
    saved.unwrap();
    assert_eq!(cookie, CookieAction::Remove);
    assert!(rig.chaos.read(&key(&id)).await.unwrap().is_none());
}

#[tokio::test]
async fn a_damaged_record_can_be_destroyed_from_outside() {
    let rig = Rig::new();
    let key = SessionKey::from_bytes([9; 32]);
    let options = WriteOptions::new(WriteMode::Create, SECOND * 60);
    rig.chaos.write(&key, Bytes::from_static(b"noise"), &options).await.unwrap();
    rig.sessions.destroy(&key).await.unwrap();
    assert_eq!(rig.count().await, 0);
    assert_eq!(rig.events.count("Destroyed"), 1);
}
