//! New ids for old sessions.

use session_core::testkit::ScriptedRandom;
use session_core::{
    CookieAction, ErrorKind, ManualClock, MemoryHandler, Operation, Policy, SessionManager, Status,
};

use super::support::{Rig, SECOND, is_set, key, kind, respond};

#[tokio::test]
async fn a_new_id_keeps_the_data_and_ends_the_old_id() {
    let rig = Rig::new();
    let old = rig.stored(|s| s.set("k", 1)).await;
    let session = rig.load(&old).await;
    session.regenerate().unwrap();
    session.set("later", 2).unwrap();
    session.regenerate().unwrap();
    let (saved, cookie) = respond(&session).await;
    saved.unwrap();
    let new = session.id().unwrap();
    let CookieAction::Set { id, .. } = cookie else { panic!("the client gets no id") };
    assert!(id == new && new != old);
    assert_eq!(rig.peek(&new, "k").await, Some(1));
    assert_eq!(rig.peek(&new, "later").await, Some(2));
    let by_old = rig.load(&old).await;
    assert_eq!((by_old.status(), by_old.keys().unwrap().len()), (Status::Unknown, 0));
    assert_eq!(rig.count().await, 1);
}

#[tokio::test]
async fn a_new_id_that_is_taken_is_drawn_again() {
    let rig = Rig::new().with_random(ScriptedRandom::new([1, 2, 1, 2, 3]));
    let other = rig.stored(|s| s.set("k", 1)).await;
    let old = rig.stored(|s| s.set("k", 2)).await;
    let session = rig.load(&old).await;
    session.regenerate().unwrap();
    session.save().await.unwrap();
    let new = session.id().unwrap();
    assert!(new != other && new != old);
    assert_eq!((rig.peek(&new, "k").await, rig.peek(&other, "k").await), (Some(2), Some(1)));
    assert_eq!(rig.count().await, 2);
}

#[tokio::test]
async fn a_session_that_is_not_stored_gets_its_first_id_and_no_second() {
    let rig = Rig::new();
    let session = rig.sessions.create();
    session.regenerate().unwrap();
    respond(&session).await.0.unwrap();
    assert_eq!((session.id(), rig.count().await), (None, 0));

    let session = rig.sessions.create();
    session.set("k", 1).unwrap();
    session.regenerate().unwrap();
    respond(&session).await.0.unwrap();
    assert_eq!(rig.count().await, 1);
    assert_eq!(rig.chaos.counts().creates, 1);
}

#[tokio::test]
async fn nobody_can_present_a_new_id_before_the_old_one_has_ended() {
    let rig = Rig::new();
    let old = rig.stored(|s| s.set("k", 1)).await;
    let session = rig.load(&old).await;
    session.regenerate().unwrap();
    let hold = rig.chaos.hold(Operation::Write);
    let save = tokio::spawn({
        let session = session.clone();
        async move { session.save().await }
    });
    hold.reached().await;
    assert_eq!(session.id().unwrap(), old);
    assert_eq!(rig.peek(&old, "k").await, Some(1));
    hold.release();
    save.await.unwrap().unwrap();
    assert_ne!(session.id().unwrap(), old);
}

#[tokio::test]
async fn a_login_during_a_change_of_id_gets_an_id_of_its_own() {
    for fails in [false, true] {
        let rig = Rig::with(|p| p.grace = SECOND * 10);
        let planted = rig.stored(|s| s.set("k", 1)).await;
        let session = rig.load(&planted).await;
        session.regenerate().unwrap();
        if fails {
            rig.chaos.fail_once(Operation::Write, ErrorKind::Unavailable);
        }
        let hold = rig.chaos.hold(Operation::Write);
        let save = tokio::spawn({
            let session = session.clone();
            async move { session.save().await }
        });
        hold.reached().await;
        session.bind("tom").unwrap();
        session.set("secret", 7).unwrap();
        session.regenerate().unwrap();
        hold.release();
        assert_eq!(save.await.unwrap().is_err(), fails);
        let rotated = session.id().unwrap();
        let (saved, cookie) = respond(&session).await;
        saved.unwrap();
        assert!(is_set(&cookie));
        assert_ne!(session.id().unwrap(), rotated);
        let by_planted = rig.load(&planted).await;
        assert_eq!(by_planted.owner(), None);
        assert_eq!(by_planted.get::<i64>("secret").unwrap(), None);
        assert_eq!(rig.count().await, 1);
    }
}

#[tokio::test]
async fn a_write_during_the_change_of_id_is_carried_over() {
    let rig = Rig::new();
    let old = rig.stored(|s| s.set("n", 1)).await;
    let session = rig.load(&old).await;
    session.regenerate().unwrap();
    session.increment("n", 10).unwrap();
    let hold = rig.chaos.hold_reply(Operation::Create);
    let save = tokio::spawn({
        let session = session.clone();
        async move { session.save().await }
    });
    hold.reached().await;
    let other = rig.neighbour().load(&old).await;
    other.increment("n", 100).unwrap();
    other.set("x", 1).unwrap();
    other.save().await.unwrap();
    hold.release();
    save.await.unwrap().unwrap();
    let new = session.id().unwrap();
    assert_eq!(rig.peek(&new, "n").await, Some(111));
    assert_eq!(rig.peek(&new, "x").await, Some(1));
    assert_eq!(rig.count().await, 1);
}

#[tokio::test]
async fn a_change_of_id_that_meets_a_logout_leaves_nothing_behind() {
    let rig = Rig::new();
    let old = rig.stored(|s| s.set("k", 1)).await;
    let session = rig.load(&old).await;
    session.regenerate().unwrap();
    let hold = rig.chaos.hold_reply(Operation::Create);
    let save = tokio::spawn({
        let session = session.clone();
        async move { respond(&session).await }
    });
    hold.reached().await;
    let other = rig.neighbour().load(&old).await;
    other.destroy().unwrap();
    other.save().await.unwrap();
    hold.release();
    let (saved, cookie) = save.await.unwrap();
    assert_eq!(kind(saved), ErrorKind::Gone);
    assert_eq!(cookie, CookieAction::Remove);
    assert_eq!(rig.count().await, 0);
}

#[tokio::test]
async fn of_several_changes_of_id_exactly_one_wins() {
    let rig = Rig::new();
    let old = rig.stored(|s| s.set("k", 1)).await;
    let mut sessions = Vec::new();
    for _ in 0..8 {
        let session = rig.load(&old).await;
        session.regenerate().unwrap();
        sessions.push(session);
    }
    let mut won = Vec::new();
    for session in &sessions {
        let (saved, cookie) = respond(session).await;
        match saved {
            Ok(()) => won.push(session.id().unwrap()),
            Err(err) => {
                assert_eq!(err.kind(), ErrorKind::Gone);
                assert_eq!(cookie, CookieAction::Keep, "the winner's response has the new id");
            }
        }
    }
    assert_eq!(won.len(), 1);
    assert_eq!(rig.count().await, 1);
    assert_eq!(rig.peek(&won[0], "k").await, Some(1));
}

#[tokio::test]
async fn a_change_of_id_that_fails_leaves_the_old_id_alive_and_no_copy() {
    let rig = Rig::new();
    let old = rig.stored(|s| s.set("k", 1)).await;
    let session = rig.load(&old).await;
    session.regenerate().unwrap();
    rig.chaos.fail_once(Operation::Write, ErrorKind::Unavailable);
    let (saved, cookie) = respond(&session).await;
    assert_eq!(kind(saved), ErrorKind::Unavailable);
    assert_eq!(cookie, CookieAction::Keep);
    assert_eq!(rig.peek(&old, "k").await, Some(1));
    assert_eq!(rig.count().await, 1);
}

#[tokio::test]
async fn a_change_of_id_in_doubt_hands_out_no_id() {
    let rig = Rig::new();
    let old = rig.stored(|s| s.set("k", 1)).await;
    let session = rig.load(&old).await;
    session.regenerate().unwrap();
    rig.chaos.lose_reply(Operation::Write);
    let (saved, cookie) = respond(&session).await;
    assert!(saved.unwrap_err().is_indeterminate());
    assert_eq!(cookie, CookieAction::Keep);
    assert_eq!(session.id().unwrap(), old);
    rig.chaos.heal();
    assert_eq!(rig.load(&old).await.status(), Status::Unknown, "at no time are there two");
}

#[tokio::test]
async fn within_the_grace_the_old_id_reads_and_does_not_write() {
    let rig = Rig::with(|p| p.grace = SECOND * 10);
    let old = rig.stored(|s| s.set("k", 1)).await;
    let session = rig.load(&old).await;
    session.regenerate().unwrap();
    session.save().await.unwrap();

    let by_old = rig.load(&old).await;
    assert_eq!(by_old.status(), Status::Loaded);
    assert_eq!(by_old.get::<i64>("k").unwrap(), Some(1));
    assert_eq!(kind(by_old.set("k", 2)), ErrorKind::Gone);
    assert_eq!(kind(by_old.regenerate()), ErrorKind::Gone);
    rig.chaos.take_counts();
    let (saved, cookie) = respond(&by_old).await;
    saved.unwrap();
    assert_eq!(cookie, CookieAction::Keep);
    let counts = rig.chaos.counts();
    assert_eq!((counts.writes, counts.creates, counts.touches), (0, 0, 0));

    rig.clock.advance(SECOND * 10);
    assert_eq!(rig.load(&old).await.status(), Status::Unknown);
    assert_eq!(rig.count().await, 1);
}

#[tokio::test]
async fn a_change_of_privilege_gives_the_old_id_no_grace() {
    let rig = Rig::with(|p| p.grace = SECOND * 10);
    for login in [true, false] {
        let old = rig.stored(|s| s.set("k", 1)).await;
        let session = rig.load(&old).await;
        session.regenerate().unwrap();
        if login {
            session.bind("tom").unwrap()
        } else {
            session.mark_authenticated().unwrap()
        }
        session.save().await.unwrap();
        let by_old = rig.load(&old).await;
        assert_eq!(by_old.status(), Status::Unknown);
        assert_eq!(by_old.get::<i64>("k").unwrap(), None);
    }
}

#[tokio::test]
async fn no_grace_is_none_on_a_host_whose_clock_is_behind() {
    for (grace, login) in [(0, false), (0, true), (10, true)] {
        let mut policy = Policy::default();
        policy.grace = SECOND * grace;
        let store = MemoryHandler::new();
        let (ahead, behind) = (ManualClock::new(), ManualClock::new());
        ahead.advance(SECOND);
        let [ahead, behind] = [ahead, behind].map(|clock| {
            let sessions = SessionManager::builder(store.clone()).policy(policy.clone());
            sessions.clock(clock).build().unwrap()
        });
        let session = ahead.create();
        session.set("secret", 7).unwrap();
        session.save().await.unwrap();
        let old = session.id().unwrap();
        session.regenerate().unwrap();
        if login {
            session.bind("tom").unwrap();
        }
        session.save().await.unwrap();
        let by_old = behind.load(&old).await.unwrap();
        assert_eq!(by_old.status(), Status::Unknown);
        assert_eq!(by_old.get::<i64>("secret").unwrap(), None);
    }
}

#[tokio::test]
async fn a_grace_does_not_reach_beyond_a_change_of_privilege() {
    let rig = Rig::with(|p| p.grace = SECOND * 10);
    let old = rig.stored(|s| s.set("k", 1)).await;
    let session = rig.load(&old).await;
    session.regenerate().unwrap();
    session.save().await.unwrap();
    session.mark_authenticated().unwrap();
    session.regenerate().unwrap();
    session.save().await.unwrap();
    assert_eq!(rig.load(&old).await.get::<i64>("k").unwrap(), None);
}

#[tokio::test]
async fn one_session_under_two_ids_is_not_ambiguous() {
    let rig = Rig::with(|p| p.grace = SECOND * 10);
    let old = rig.stored(|s| s.set("k", 1)).await;
    let session = rig.load(&old).await;
    session.regenerate().unwrap();
    session.save().await.unwrap();
    let new = session.id().unwrap();
    for ids in [[old.clone(), new.clone()], [new.clone(), old.clone()], [new.clone(), new.clone()]]
    {
        let session = rig.sessions.load_any(&ids, Default::default()).await.unwrap();
        assert_eq!(session.status(), Status::Loaded);
        session.increment("k", 1).unwrap();
        session.save().await.unwrap();
    }
    assert_eq!(rig.peek(&new, "k").await, Some(4));
}

#[tokio::test]
async fn two_sessions_that_claim_one_client_are_both_disbelieved() {
    let rig = Rig::new();
    let one = rig.stored(|s| s.set("k", 1)).await;
    let two = rig.stored(|s| s.set("k", 2)).await;
    let session = rig.sessions.load_any(&[one, two], Default::default()).await.unwrap();
    assert_eq!(session.status(), Status::Unknown);
    assert_eq!(session.get::<i64>("k").unwrap(), None);
    assert_eq!(rig.count().await, 2);
}

#[tokio::test]
async fn a_dead_cookie_beside_a_live_one_does_no_harm() {
    let rig = Rig::new();
    let dead = rig.stored(|s| s.set("k", 1)).await;
    rig.sessions.destroy(&key(&dead)).await.unwrap();
    let live = rig.stored(|s| s.set("k", 2)).await;
    let session = rig.sessions.load_any(&[dead, live], Default::default()).await.unwrap();
    assert_eq!(session.get::<i64>("k").unwrap(), Some(2));
}

#[tokio::test]
async fn a_new_id_extends_no_absolute_deadline() {
    let rig = Rig::with(|p| (p.idle, p.absolute) = (SECOND * 60, Some(SECOND * 100)));
    let mut id = rig.stored(|s| s.set("k", 1)).await;
    for _ in 0..4 {
        rig.clock.advance(SECOND * 24);
        let session = rig.load(&id).await;
        session.regenerate().unwrap();
        session.save().await.unwrap();
        id = session.id().unwrap();
    }
    assert_eq!(rig.peek(&id, "k").await, Some(1));
    rig.clock.advance(SECOND * 4);
    assert_ne!(rig.load(&id).await.status(), Status::Loaded);
}

#[tokio::test]
async fn a_new_id_and_the_end_of_the_lifetime_in_one_save_end_the_session() {
    let rig = Rig::new();
    let old = rig.stored(|s| s.set("k", 1)).await;
    let session = rig.load(&old).await;
    session.regenerate().unwrap();
    session.set_idle(Some(std::time::Duration::ZERO)).unwrap();
    let (saved, cookie) = respond(&session).await;
    saved.unwrap();
    assert!(!is_set(&cookie));
    assert_eq!(session.id(), None);
    assert_eq!(rig.count().await, 0);
    assert_eq!(rig.load(&old).await.status(), Status::Unknown);
}
