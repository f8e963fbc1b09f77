//! A store that is down, slow or damaged.

use std::slice;
use std::time::Duration;

use session_core::{
    Access, Bytes, CookieAction, Damage, ErrorKind, Operation, Outage, Owner, SessionHandler,
    SessionId, SessionKey, Status, WriteMode, WriteOptions,
};

use super::support::{Rig, SECOND, key, kind, respond};

fn down(rig: &Rig) {
    for operation in
        [Operation::Read, Operation::Create, Operation::Write, Operation::Touch, Operation::Destroy]
    {
        rig.chaos.fail(operation, ErrorKind::Unavailable);
    }
}

#[tokio::test]
async fn a_store_that_is_down_is_never_an_empty_session() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("k", 1)).await;
    down(&rig);
    assert_eq!(kind(rig.sessions.load(&id).await), ErrorKind::Unavailable);
    rig.chaos.heal();
    assert_eq!(rig.peek(&id, "k").await, Some(1));
}

#[tokio::test]
async fn a_single_load_may_choose_what_an_outage_is() {
    let stale = Outage::Stale(SECOND * 60);
    for policy in [Outage::Fail, Outage::Anonymous, stale] {
        let rig = Rig::with(|p| p.outage = policy);
        let id = rig.stored(|s| s.set("k", 1)).await;
        rig.load(&id).await;
        let load =
            |outage| rig.sessions.load_any_or(slice::from_ref(&id), Access::default(), outage);
        assert_eq!(load(Outage::Fail).await.unwrap().status(), Status::Loaded);
        down(&rig);
        assert_eq!(kind(load(Outage::Fail).await), ErrorKind::Unavailable, "{policy:?}");
        let anonymous = load(Outage::Anonymous).await.unwrap();
        assert_eq!(anonymous.status(), Status::Degraded);
        assert_eq!(anonymous.get::<i64>("k").unwrap(), None, "{policy:?}");
        if policy == stale {
            let known = load(stale).await.unwrap();
            assert_eq!(known.get::<i64>("k").unwrap(), Some(1));
        } else {
            assert_eq!(kind(load(stale).await), ErrorKind::InvalidConfig, "{policy:?}");
        }
    }
}

#[tokio::test]
async fn a_save_that_fails_sends_no_cookie_and_keeps_the_error() {
    let rig = Rig::new();
    down(&rig);
    let session = rig.sessions.create();
    session.set("k", 1).unwrap();
    let (saved, cookie) = respond(&session).await;
    assert_eq!((kind(saved), cookie), (ErrorKind::Unavailable, CookieAction::Keep));
}

#[tokio::test]
async fn a_touch_that_fails_harms_nobody_and_is_reported() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("k", 1)).await;
    rig.clock.advance(SECOND * 1000);
    let session = rig.load(&id).await;
    rig.chaos.fail(Operation::Touch, ErrorKind::Unavailable);
    let (saved, cookie) = respond(&session).await;
    saved.unwrap();
    assert_eq!((cookie, rig.events.count("Unseen")), (CookieAction::Keep, 1));
}

#[tokio::test]
async fn an_anonymous_visitor_changes_nothing_and_keeps_the_cookie() {
    let rig = Rig::with(|p| p.outage = Outage::Anonymous);
    let id = rig.stored(|s| s.set("k", 1)).await;
    down(&rig);
    let session = rig.load(&id).await;
    assert_eq!((session.status(), session.get::<i64>("k").unwrap()), (Status::Degraded, None));
    assert_eq!(kind(session.set("k", 2)), ErrorKind::Degraded);
    assert_eq!(kind(session.regenerate()), ErrorKind::Degraded);
    let (saved, cookie) = respond(&session).await;
    saved.unwrap();
    assert_eq!(cookie, CookieAction::Keep);
    assert_eq!(rig.events.count("Degraded"), 1);
    rig.chaos.heal();
    assert_eq!(rig.peek(&id, "k").await, Some(1));
}

#[tokio::test]
async fn an_id_is_not_believed_because_another_cannot_be_read() {
    let rig = Rig::with(|p| p.outage = Outage::Anonymous);
    let mine = rig.stored(|s| s.bind("tom")).await;
    let planted = rig.stored(|s| s.bind("mallory")).await;
    for first_fails in [true, false] {
        if first_fails {
            rig.chaos.fail_once(Operation::Read, ErrorKind::Timeout);
        }
        let hold = rig.chaos.hold_reply(Operation::Read);
        let request = tokio::spawn({
            let (rig, ids) = (rig.clone(), [mine.clone(), planted.clone()]);
            async move { rig.sessions.load_any(&ids, Access::ReadWrite).await.unwrap() }
        });
        if !first_fails {
            hold.reached().await;
            rig.chaos.fail_once(Operation::Read, ErrorKind::Timeout);
        }
        drop(hold);
        let session = request.await.unwrap();
        assert_eq!((session.status(), session.owner()), (Status::Degraded, None));
        assert_eq!(kind(session.set("k", 1)), ErrorKind::Degraded);
    }
}

#[tokio::test]
async fn data_seen_lately_is_shown_while_the_store_is_down() {
    let rig = Rig::with(|p| p.outage = Outage::Stale(SECOND * 60));
    let id = rig.stored(|s| s.set("k", 1)).await;
    let never_seen = SessionId::generate(&session_core::OsRandom).unwrap();
    down(&rig);
    let session = rig.load(&id).await;
    assert_eq!((session.status(), session.get::<i64>("k").unwrap()), (Status::Degraded, Some(1)));
    assert_eq!(kind(session.set("k", 2)), ErrorKind::Degraded);
    assert_eq!(kind(rig.sessions.load(&never_seen).await), ErrorKind::Unavailable);
    rig.clock.advance(SECOND * 61);
    assert_eq!(kind(rig.sessions.load(&id).await), ErrorKind::Unavailable);
    rig.chaos.heal();
    let session = rig.load(&id).await;
    session.set("k", 2).unwrap();
    session.save().await.unwrap();
    down(&rig);
    assert_eq!(rig.load(&id).await.get::<i64>("k").unwrap(), Some(2), "the last save is seen");
}

#[tokio::test]
async fn data_seen_lately_is_not_shown_beyond_its_lifetime() {
    let rig = Rig::with(|p| {
        p.outage = Outage::Stale(SECOND * 3600);
        p.idle = SECOND * 10;
    });
    let id = rig.stored(|s| s.set("k", 1)).await;
    down(&rig);
    rig.clock.advance(SECOND * 10);
    assert_eq!(kind(rig.sessions.load(&id).await), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_session_known_to_have_ended_is_not_shown_while_the_store_is_down() {
    let stale = |p: &mut session_core::Policy| p.outage = Outage::Stale(SECOND * 60);

    let rig = Rig::with(stale);
    let id = rig.stored(|s| s.set("k", 1)).await;
    let session = rig.load(&id).await;
    session.destroy().unwrap();
    session.save().await.unwrap();
    down(&rig);
    assert_eq!(kind(rig.sessions.load(&id).await), ErrorKind::Unavailable);

    // Another process ended it, and this one has noticed.
    let rig = Rig::with(stale);
    let id = rig.stored(|s| s.set("k", 1)).await;
    rig.neighbour().sessions.destroy(&key(&id)).await.unwrap();
    assert_eq!(rig.load(&id).await.status(), Status::Unknown);
    down(&rig);
    assert_eq!(kind(rig.sessions.load(&id).await), ErrorKind::Unavailable);

    // A request that had read it before the logout is still at work after it.
    let rig = Rig::with(stale);
    let id = rig.stored(|s| s.set("k", 1)).await;
    let hold = rig.chaos.hold_reply(Operation::Read);
    let slow = tokio::spawn({
        let (rig, id) = (rig.clone(), id.clone());
        async move { rig.load(&id).await }
    });
    hold.reached().await;
    let session_key = key(&id);
    let logout = tokio::spawn({
        let rig = rig.clone();
        async move { rig.sessions.destroy(&session_key).await }
    });
    hold.reached().await;
    rig.chaos.destroy(&session_key, None).await.unwrap();
    hold.release();
    let (slow, logout) = (slow.await.unwrap(), logout.await.unwrap());
    logout.unwrap();
    assert_eq!(slow.get::<i64>("k").unwrap(), Some(1));
    slow.set("k", 2).unwrap();
    assert_eq!(kind(slow.save().await), ErrorKind::Gone);
    down(&rig);
    rig.chaos.fail(Operation::Read, ErrorKind::Unavailable);
    assert_eq!(kind(rig.sessions.load(&id).await), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_session_revoked_while_it_was_loaded_or_saved_is_not_shown_while_the_store_is_down() {
    for operation in [Operation::Read, Operation::Write] {
        let rig = Rig::with(|p| p.outage = Outage::Stale(SECOND * 60));
        let id = rig.stored(|s| s.bind("tom")).await;
        let session = rig.load(&id).await;
        session.set("n", 1).unwrap();
        let hold = rig.chaos.hold_reply(operation);
        let slow = tokio::spawn({
            let (rig, id) = (rig.clone(), id.clone());
            async move {
                match operation {
                    Operation::Read => drop(rig.load(&id).await),
                    _ => session.save().await.unwrap(),
                }
            }
        });
        hold.reached().await;
        let tom = Owner::new("tom").unwrap();
        assert_eq!(rig.sessions.revoke(&tom, None).await.unwrap(), 1);
        hold.release();
        slow.await.unwrap();
        down(&rig);
        assert_eq!(kind(rig.sessions.load(&id).await), ErrorKind::Unavailable, "{operation:?}");
    }
}

#[tokio::test]
async fn a_session_whose_revocation_is_in_doubt_is_not_shown_while_the_store_is_down() {
    let rig = Rig::with(|p| p.outage = Outage::Stale(SECOND * 60));
    let id = rig.stored(|s| s.bind("tom")).await;
    drop(rig.load(&id).await);
    rig.chaos.lose_reply(Operation::Index);
    let tom = Owner::new("tom").unwrap();
    assert!(rig.sessions.revoke(&tom, None).await.unwrap_err().is_indeterminate());
    down(&rig);
    assert_eq!(kind(rig.sessions.load(&id).await), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_logout_is_not_forgotten_when_others_are_revoked() {
    let rig = Rig::with(|p| p.outage = Outage::Stale(SECOND * 60));
    let id = rig.stored(|s| s.set("n", 1)).await;
    let session = rig.load(&id).await;
    let hold = rig.chaos.hold_reply(Operation::Read);
    let slow = tokio::spawn({
        let (rig, id) = (rig.clone(), id.clone());
        async move { drop(rig.load(&id).await) }
    });
    hold.reached().await;
    session.destroy().unwrap();
    session.save().await.unwrap();
    rig.sessions.revoke(&Owner::new("tom").unwrap(), None).await.unwrap();
    hold.release();
    slow.await.unwrap();
    down(&rig);
    assert_eq!(kind(rig.sessions.load(&id).await), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_logout_is_tried_even_where_the_session_could_not_be_read() {
    for outage in [Outage::Anonymous, Outage::Stale(SECOND * 60)] {
        let rig = Rig::with(|p| p.outage = outage);
        let id = rig.stored(|s| s.set("k", 1)).await;
        down(&rig);
        let session = rig.load(&id).await;
        session.destroy().unwrap();
        let (saved, cookie) = respond(&session).await;
        assert_eq!((kind(saved), cookie), (ErrorKind::Unavailable, CookieAction::Remove));
        assert_eq!(kind(session.set("k", 2)), ErrorKind::Degraded);
        rig.chaos.heal();
        session.save().await.unwrap();
        assert_eq!(rig.count().await, 0);
    }
}

async fn noise(rig: &Rig, payload: &'static [u8]) -> (SessionId, SessionKey) {
    let id = SessionId::generate(&session_core::OsRandom).unwrap();
    let key = key(&id);
    let options = WriteOptions::new(WriteMode::Create, SECOND * 60);
    rig.chaos.write(&key, Bytes::from_static(payload), &options).await.unwrap();
    (id, key)
}

#[tokio::test]
async fn a_damaged_record_is_absent_reported_and_left_alone() {
    for payload in [&b""[..], b"ses", b"ses\x02whatever", b"a:1:{s:1:\"k\";i:1;}", &[0xff; 300]] {
        let rig = Rig::new();
        let (id, key) = noise(&rig, payload).await;
        let session = rig.load(&id).await;
        assert_eq!(session.status(), Status::Unknown);
        assert_eq!(rig.events.count("Damaged"), 1);
        session.set("k", 1).unwrap();
        session.save().await.unwrap();
        assert_ne!(session.id().unwrap(), id);
        assert_eq!(rig.chaos.read(&key).await.unwrap().unwrap().payload, payload);

        let rig = Rig::with(|p| p.damage = Damage::Fail);
        let (id, _) = noise(&rig, payload).await;
        assert_eq!(kind(rig.sessions.load(&id).await), ErrorKind::Corrupt);
    }
}

#[tokio::test]
async fn a_record_copied_to_another_key_is_not_believed() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("admin", 1)).await;
    let stored = rig.chaos.read(&key(&id)).await.unwrap().unwrap();
    let mine = SessionId::generate(&session_core::OsRandom).unwrap();
    let options = WriteOptions::new(WriteMode::Create, SECOND * 60);
    rig.chaos.write(&key(&mine), stored.payload, &options).await.unwrap();
    assert_eq!(rig.load(&mine).await.status(), Status::Unknown);
}

#[tokio::test]
async fn a_value_that_does_not_decode_spoils_no_other() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("text", "seven")).await;
    let session = rig.load(&id).await;
    assert_eq!(kind(session.get::<i64>("text")), ErrorKind::TypeMismatch);
    assert_eq!(kind(session.increment("text", 1)), ErrorKind::TypeMismatch);
    session.set("n", 1).unwrap();
    session.save().await.unwrap();
    assert_eq!(rig.load(&id).await.get::<String>("text").unwrap().as_deref(), Some("seven"));
}

#[tokio::test]
async fn what_is_remembered_for_outages_is_bounded() {
    let rig = Rig::with(|p| p.outage = Outage::Stale(Duration::MAX));
    let mut ids = Vec::new();
    for n in 0..96 {
        ids.push(rig.stored(|s| s.set("k", "x".repeat(1_000_000 + n))).await);
        rig.clock.advance(Duration::from_millis(1));
    }
    down(&rig);
    let mut kept = Vec::new();
    for id in &ids {
        kept.push(rig.sessions.load(id).await.is_ok());
    }
    let count = kept.iter().filter(|kept| **kept).count();
    assert!((32..=67).contains(&count), "{count} MB are kept");
    assert!(kept[kept.len() - 1], "what was seen last is kept");
    assert!(!kept[0], "what was seen first has made room");
}
