//! Lifetimes, and the cookie's.

use std::time::Duration;

use session_core::{
    CookieAction, ErrorKind, Operation, Policy, Profile, Session, SessionId, Status,
};

use super::support::{Rig, SECOND, is_set, key, kind, respond, settle};

async fn is_alive(rig: &Rig, id: &SessionId) -> bool {
    rig.load(id).await.status() == Status::Loaded
}

/// A request that uses the session and changes nothing.
async fn use_it(rig: &Rig, id: &SessionId) -> bool {
    let session = rig.load(id).await;
    respond(&session).await.0.unwrap();
    session.status() == Status::Loaded
}

#[tokio::test]
async fn a_session_ends_when_its_idle_time_is_over_and_not_before() {
    let rig = Rig::with(|p| p.idle = SECOND * 60);
    let id = rig.stored(|s| s.set("k", 1)).await;
    rig.clock.advance(SECOND * 60 - Duration::from_millis(1));
    assert!(is_alive(&rig, &id).await);
    rig.clock.advance(Duration::from_millis(1));
    let session = rig.load(&id).await;
    assert_ne!(session.status(), Status::Loaded);
    session.set("k", 2).unwrap();
    session.save().await.unwrap();
    assert_ne!(session.id().unwrap(), id, "an id is never used again");
}

#[tokio::test]
async fn use_keeps_a_session_alive_up_to_its_absolute_deadline() {
    let rig = Rig::with(|p| (p.idle, p.absolute) = (SECOND * 60, Some(SECOND * 300)));
    let id = rig.stored(|s| s.set("k", 1)).await;
    for _ in 0..9 {
        rig.clock.advance(SECOND * 30);
        assert!(use_it(&rig, &id).await);
    }
    rig.clock.advance(SECOND * 30 - Duration::from_millis(1));
    assert!(use_it(&rig, &id).await);
    rig.clock.advance(Duration::from_millis(1));
    assert!(!use_it(&rig, &id).await);
}

#[tokio::test]
async fn a_save_after_the_absolute_deadline_says_that_the_session_is_gone() {
    let rig = Rig::with(|p| (p.idle, p.absolute) = (SECOND * 60, Some(SECOND * 10)));
    for new_id in [false, true] {
        let id = rig.stored(|s| s.set("k", 1)).await;
        let session = rig.load(&id).await;
        rig.clock.advance(SECOND * 10);
        session.set("k", 2).unwrap();
        if new_id {
            session.regenerate().unwrap();
        }
        assert_eq!(kind(session.save().await), ErrorKind::Gone);
        assert_eq!(session.id(), None);
        assert_eq!(session.cookie(), CookieAction::Remove);
    }
}

#[tokio::test]
async fn nothing_is_refreshed_after_the_absolute_deadline_though_the_store_is_late() {
    let rig = Rig::with(|p| (p.idle, p.absolute) = (SECOND * 60, Some(SECOND * 10)));
    let hold = rig.chaos.hold(Operation::Create);
    let session = rig.sessions.create();
    session.set("k", 1).unwrap();
    let (saved, ()) = tokio::join!(session.save(), async {
        hold.reached().await;
        rig.clock.advance(SECOND);
        hold.release();
    });
    saved.unwrap();
    rig.clock.advance(SECOND * 9 - Duration::from_millis(1));
    assert!(session.refresh().await.unwrap());
    rig.clock.advance(Duration::from_millis(1));
    assert!(!is_alive(&rig, &session.id().unwrap()).await);
    assert!(!session.refresh().await.unwrap());
}

#[tokio::test]
async fn a_throttled_touch_ends_a_session_early_by_the_interval_at_most() {
    let rig = Rig::with(|p| {
        p.idle = SECOND * 60;
        p.touch_interval = Some(SECOND * 30);
    });
    let id = rig.stored(|s| s.set("k", 1)).await;
    rig.clock.advance(SECOND * 29);
    assert!(use_it(&rig, &id).await);
    rig.clock.advance(SECOND * 30);
    assert!(is_alive(&rig, &id).await, "not earlier than the idle time minus the interval");
    rig.clock.advance(SECOND);
    assert!(!is_alive(&rig, &id).await);

    let id = rig.stored(|s| s.set("k", 1)).await;
    for _ in 0..100 {
        rig.clock.advance(SECOND * 29);
        assert!(use_it(&rig, &id).await, "a session in use never ends");
    }
}

#[tokio::test]
async fn sessions_may_have_lifetimes_of_their_own_and_the_policys_again() {
    let rig = Rig::with(|p| p.idle = SECOND * 100);
    let short = rig
        .stored(|s| {
            s.set("k", 1)?;
            s.set_idle(Some(SECOND * 10))
        })
        .await;
    let long = rig
        .stored(|s| {
            s.set("k", 1)?;
            s.set_idle(Some(SECOND * 1000))
        })
        .await;
    let reset = rig.load(&short).await;
    rig.clock.advance(SECOND * 9);
    assert!(use_it(&rig, &short).await);
    rig.clock.advance(SECOND * 9);
    assert!(is_alive(&rig, &short).await, "a touch goes by the session's own lifetime");
    reset.set_idle(None).unwrap();
    reset.save().await.unwrap();
    rig.clock.advance(SECOND * 99);
    assert!(is_alive(&rig, &short).await);
    rig.clock.advance(SECOND);
    assert!(!is_alive(&rig, &short).await && is_alive(&rig, &long).await);
}

#[tokio::test]
async fn signing_in_again_restarts_the_absolute_lifetime() {
    let rig = Rig::with(|p| (p.idle, p.absolute) = (SECOND * 100, Some(SECOND * 100)));
    let id = rig.stored(|s| s.set("k", 1)).await;
    rig.clock.advance(SECOND * 60);
    let session = rig.load(&id).await;
    assert_eq!(session.since_authenticated(), None);
    session.mark_authenticated().unwrap();
    session.save().await.unwrap();
    rig.clock.advance(SECOND * 60);
    let session = rig.load(&id).await;
    assert_eq!(session.since_authenticated(), Some(SECOND * 60));
    assert_eq!(session.age(), SECOND * 120);
    rig.clock.advance(SECOND * 40);
    assert!(!is_alive(&rig, &id).await);
}

#[tokio::test]
async fn of_a_sign_in_and_an_absolute_lifetime_of_its_own_the_later_counts() {
    let rig = Rig::with(|p| (p.idle, p.absolute) = (SECOND * 100, Some(SECOND * 100)));
    let own = |s: &Session| s.set_absolute(Some(SECOND * 10));
    let id = rig.stored(|s| s.set("k", 1).and_then(|()| own(s))).await;
    let session = rig.load(&id).await;
    session.mark_authenticated().unwrap();
    session.save().await.unwrap();
    rig.clock.advance(SECOND * 50);
    assert!(is_alive(&rig, &id).await, "the policy's lifetime has begun anew");

    session.mark_authenticated().unwrap();
    own(&session).unwrap();
    session.save().await.unwrap();
    rig.clock.advance(SECOND * 10);
    assert!(!is_alive(&rig, &id).await);
}

#[tokio::test]
async fn a_sign_in_is_known_while_it_is_saved() {
    let rig = Rig::new();
    let session = rig.load(&rig.stored(|s| s.set("k", 1)).await).await;
    session.mark_authenticated().unwrap();
    let hold = rig.chaos.hold(Operation::Write);
    let save = tokio::spawn({
        let session = session.clone();
        async move { session.save().await }
    });
    hold.reached().await;
    assert_eq!(session.since_authenticated(), Some(Duration::ZERO));
    hold.release();
    save.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_session_that_never_ends_does_not() {
    let rig = Rig::with(|p| (p.idle, p.absolute) = (Duration::MAX, None));
    let id = rig.stored(|s| s.set("k", 1)).await;
    rig.clock.advance(SECOND * 366 * 24 * 3600);
    rig.sessions.gc().await.unwrap();
    assert!(is_alive(&rig, &id).await);
}

#[tokio::test]
async fn what_ends_between_load_and_save_is_not_brought_back() {
    let rig = Rig::with(|p| p.idle = SECOND * 60);
    let id = rig.stored(|s| s.set("k", 1)).await;
    let (writer, user) = (rig.load(&id).await, rig.load(&id).await);
    rig.clock.advance(SECOND * 60);
    writer.set("k", 2).unwrap();
    assert_eq!(kind(writer.save().await), ErrorKind::Gone);
    respond(&user).await.0.unwrap();
    assert_eq!((user.id(), user.refresh().await.unwrap()), (None, false));
    assert_eq!(rig.count().await, 0);
}

#[tokio::test]
async fn a_refresh_extends_at_once_and_never_shortens() {
    let rig = Rig::with(|p| p.idle = SECOND * 60);
    let id = rig.stored(|s| s.set("k", 1)).await;
    rig.clock.advance(SECOND);
    let session = rig.load(&id).await;
    assert!(session.refresh().await.unwrap());
    rig.clock.advance(SECOND * 59);
    assert!(is_alive(&rig, &id).await);
    assert!(!rig.sessions.create().refresh().await.unwrap());
}

#[tokio::test]
async fn a_refresh_that_comes_too_late_ends_the_session_for_all_who_hold_it() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("k", 1)).await;
    let (session, changed) = (rig.load(&id).await, rig.load(&id).await);
    let stream = tokio::spawn({
        let session = session.clone();
        async move { session.ended().await }
    });
    settle().await;
    changed.set("k", 2).unwrap();
    rig.neighbour().sessions.destroy(&key(&id)).await.unwrap();
    assert!(!session.refresh().await.unwrap());
    stream.await.unwrap();
    assert_eq!(kind(session.set("k", 3)), ErrorKind::Gone);

    assert!(!changed.refresh().await.unwrap());
    assert_eq!(kind(changed.save().await), ErrorKind::Gone, "what was changed is not forgotten");
}

#[tokio::test]
async fn the_cookie_lives_as_the_policy_and_the_session_say() {
    let max_age = |action: CookieAction| match action {
        CookieAction::Set { max_age, .. } => max_age,
        other => panic!("{other:?}"),
    };
    let rig = Rig::new();
    let session = rig.sessions.create();
    session.set("k", 1).unwrap();
    assert_eq!(max_age(respond(&session).await.1), None, "until the browser closes");

    let session = rig.load(&session.id().unwrap()).await;
    session.set_persistent(Some(true)).unwrap();
    let remember_me = max_age(respond(&session).await.1);
    assert_eq!(remember_me, Some(SECOND * 12 * 3600));

    let session = rig.load(&session.id().unwrap()).await;
    session.set("k", 2).unwrap();
    assert_eq!(respond(&session).await.1, CookieAction::Keep, "what the client has is right");

    let session = rig.load(&session.id().unwrap()).await;
    session.set_absolute(None).unwrap();
    let endless = max_age(respond(&session).await.1);
    assert_eq!(endless, Some(Duration::MAX), "use moves the end on, and tells no client");

    let rig = Rig::with(|p| (p.persistent, p.rolling, p.idle) = (true, true, SECOND * 60));
    let id = rig.stored(|s| s.set("k", 1)).await;
    let session = rig.load(&id).await;
    assert_eq!(max_age(respond(&session).await.1), Some(SECOND * 60));
    session.set_absolute(None).unwrap();
    assert_eq!(max_age(respond(&session).await.1), Some(SECOND * 60), "it is sent again");
    let (saved, cookie) = respond(&rig.sessions.create()).await;
    saved.unwrap();
    assert!(!is_set(&cookie), "no session, no cookie");
}

#[tokio::test]
async fn sessions_of_a_level_end_when_its_text_says() {
    let levels: [(Profile, u32, u32); 3] = [
        (Profile::Aal1, 30 * 86_400, 30 * 86_400),
        (Profile::Aal2, 3600, 86_400),
        (Profile::Aal3, 900, 43_200),
    ];
    for (profile, unused, at_most) in levels {
        let rig = Rig::with(|policy| *policy = Policy::of(profile));
        let id = rig.stored(|s| s.set("k", 1)).await;
        rig.clock.advance(SECOND * unused);
        assert_ne!(rig.load(&id).await.status(), Status::Loaded, "{profile:?}, unused");

        let id = rig.stored(|s| s.set("k", 1)).await;
        let step = unused / 2;
        for _ in 0..at_most.div_ceil(step) {
            rig.clock.advance(SECOND * step);
            respond(&rig.load(&id).await).await.0.unwrap();
        }
        assert_ne!(rig.load(&id).await.status(), Status::Loaded, "{profile:?}, in use");
    }
}
