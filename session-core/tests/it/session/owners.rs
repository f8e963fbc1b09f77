//! Sessions by owner: limits, lists and revocation.

use session_core::{ErrorKind, Excess, Operation, Owner, OwnerLimit, PageRequest, Policy, Status};

use super::support::{Rig, SECOND, kind, respond, settle};

fn at_most(sessions: usize, excess: Excess) -> impl FnOnce(&mut Policy) {
    move |policy| policy.per_owner = Some(OwnerLimit::new(sessions, excess))
}

fn tom() -> Owner {
    Owner::new("tom").unwrap()
}

#[tokio::test]
async fn the_oldest_session_makes_room_for_a_new_one() {
    let rig = Rig::with(at_most(2, Excess::Evict));
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(rig.stored(|s| s.bind("tom")).await);
        rig.clock.advance(SECOND);
    }
    let other = rig.stored(|s| s.bind("ann")).await;
    assert_eq!(rig.load(&ids[0]).await.status(), Status::Unknown);
    for id in [&ids[1], &ids[2], &other] {
        assert_eq!(rig.load(id).await.status(), Status::Loaded);
    }
}

#[tokio::test]
async fn one_session_too_many_is_refused_where_the_policy_says_so() {
    for login_with_new_id in [false, true] {
        let rig = Rig::with(at_most(2, Excess::Refuse));
        let first = rig.stored(|s| s.bind("tom")).await;
        rig.stored(|s| s.bind("tom")).await;

        let visitor = rig.stored(|s| s.set("cart", 1)).await;
        let third = rig.load(&visitor).await;
        third.bind("tom").unwrap();
        if login_with_new_id {
            third.regenerate().unwrap();
        }
        assert_eq!(kind(respond(&third).await.0), ErrorKind::TooMany);
        assert_eq!(rig.peek(&visitor, "cart").await, Some(1), "the visitor stays a visitor");
        assert_eq!(rig.load(&visitor).await.owner(), None);
        assert_eq!(rig.count().await, 3);

        let again = rig.load(&first).await;
        again.bind("tom").unwrap();
        again.regenerate().unwrap();
        again.save().await.unwrap();
        assert_eq!(rig.count().await, 3, "who is counted already may sign in again");
    }
}

#[tokio::test]
async fn a_session_whose_creation_is_in_doubt_takes_nobodys_place() {
    for excess in [Excess::Refuse, Excess::Evict] {
        for new_id in [false, true] {
            let rig = Rig::with(at_most(2, excess));
            let phone = rig.stored(|s| s.bind("tom")).await;
            let visitor = rig.stored(|s| s.set("cart", 1)).await;
            rig.clock.advance(SECOND);
            let login = if new_id { rig.load(&visitor).await } else { rig.sessions.create() };
            login.bind("tom").unwrap();
            login.regenerate().unwrap();
            rig.chaos.lose_reply(Operation::Create);
            assert!(login.save().await.unwrap_err().is_indeterminate());
            rig.chaos.heal();
            settle().await;
            rig.clock.advance(SECOND);
            login.save().await.unwrap();
            assert_eq!(rig.load(&phone).await.status(), Status::Loaded);
            let page = rig.sessions.sessions_of(&tom(), &PageRequest::first(9)).await.unwrap();
            assert_eq!(page.items.len(), 2);
        }
    }
}

#[tokio::test]
async fn sessions_that_expired_take_nobodys_place_and_hide_nobody() {
    let rig = Rig::with(at_most(2, Excess::Refuse));
    for _ in 0..12 {
        for _ in 0..2 {
            rig.stored(|s| {
                s.set_idle(Some(SECOND))?;
                s.bind("tom")
            })
            .await;
        }
        rig.clock.advance(SECOND);
    }
    for _ in 0..2 {
        rig.stored(|s| s.bind("tom")).await;
    }
    let third = rig.sessions.create();
    third.bind("tom").unwrap();
    assert_eq!(kind(third.save().await), ErrorKind::TooMany);
}

#[tokio::test]
async fn an_owner_follows_a_change_of_id_and_can_be_taken_away() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.bind("tom")).await;
    let session = rig.load(&id).await;
    session.regenerate().unwrap();
    session.save().await.unwrap();
    let page = rig.sessions.sessions_of(&tom(), &PageRequest::first(10)).await.unwrap();
    assert_eq!(page.items.len(), 1);
    assert_eq!(session.owner(), Some(tom()));

    session.unbind().unwrap();
    session.save().await.unwrap();
    let page = rig.sessions.sessions_of(&tom(), &PageRequest::first(10)).await.unwrap();
    assert!(page.items.is_empty());
    assert_eq!(rig.load(&session.id().unwrap()).await.status(), Status::Loaded);
}

#[tokio::test]
async fn revoking_an_owners_sessions_spares_the_one_that_asks() {
    let rig = Rig::new();
    let mine = rig.stored(|s| s.bind("tom")).await;
    let theirs = rig.stored(|s| s.bind("tom")).await;
    let anns = rig.stored(|s| s.bind("ann")).await;
    assert_eq!(rig.sessions.revoke(&tom(), Some(&mine)).await.unwrap(), 1);
    assert_eq!(rig.load(&theirs).await.status(), Status::Unknown);
    for id in [&mine, &anns] {
        assert_eq!(rig.load(id).await.status(), Status::Loaded);
    }
    assert_eq!(rig.sessions.revoke_all().await.unwrap(), 2);
    assert_eq!(rig.count().await, 0);
}

#[tokio::test(start_paused = true)]
async fn counting_many_sessions_takes_many_calls_and_no_long_one() {
    let rig = Rig::new();
    for _ in 0..1200 {
        rig.stored(|s| s.set("k", 1)).await;
    }
    // Two calls take longer than one may.
    rig.chaos.delay(Operation::List, SECOND * 3 / 2);
    assert_eq!(rig.count().await, 1200);
}
