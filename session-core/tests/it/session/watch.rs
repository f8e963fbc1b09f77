//! Streams that end with their session.

use session_core::{Excess, Operation, Owner, OwnerLimit, Session};
use tokio::task::JoinHandle;

use super::support::{Rig, SECOND, key, respond, settle};

/// A stream that lives as long as its session.
fn stream(session: &Session) -> JoinHandle<()> {
    let session = session.clone();
    tokio::spawn(async move { session.ended().await })
}

#[tokio::test]
async fn a_logout_ends_every_stream_of_the_session() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("k", 1)).await;
    let other = rig.stored(|s| s.set("k", 2)).await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(stream(&rig.load(&id).await));
    }
    let bystander = stream(&rig.load(&other).await);
    settle().await;
    assert!(streams.iter().all(|stream| !stream.is_finished()));

    let session = rig.load(&id).await;
    session.destroy().unwrap();
    session.save().await.unwrap();
    for stream in streams {
        stream.await.unwrap();
    }
    assert!(!bystander.is_finished());
    bystander.abort();
}

#[tokio::test]
async fn a_change_of_id_ends_no_stream_and_a_logout_after_it_does() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("k", 1)).await;
    let before = stream(&rig.load(&id).await);
    let late = rig.load(&id).await;
    settle().await;
    let session = rig.load(&id).await;
    for _ in 0..3 {
        session.regenerate().unwrap();
        session.save().await.unwrap();
    }
    let after = stream(&session);
    let late = stream(&late);
    settle().await;
    assert!(!before.is_finished() && !after.is_finished() && !late.is_finished());
    rig.sessions.destroy(&key(&session.id().unwrap())).await.unwrap();
    for stream in [before, after, late] {
        stream.await.unwrap();
    }
}

#[tokio::test]
async fn a_stream_that_begins_after_the_logout_ends_at_once() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("k", 1)).await;
    let session = rig.load(&id).await;
    rig.neighbour().sessions.destroy(&key(&id)).await.unwrap();
    session.ended().await;
    rig.sessions.create().ended().await;
}

#[tokio::test]
async fn a_stream_of_a_session_begun_anew_does_not_end_with_the_old_one() {
    let rig = Rig::new();
    let session = rig.load(&rig.stored(|s| s.set("k", 1)).await).await;
    let hold = rig.chaos.hold_reply(Operation::Read);
    let old = stream(&session);
    hold.reached().await;
    session.destroy().unwrap();
    session.set("k", 2).unwrap();
    session.save().await.unwrap();
    hold.release();
    old.await.unwrap();
    let new = stream(&session);
    settle().await;
    assert!(!new.is_finished(), "the new session lives");
    new.abort();
}

#[tokio::test]
async fn asking_again_costs_no_read() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("k", 1)).await;
    let session = rig.load(&id).await;
    rig.chaos.take_counts();
    for _ in 0..3 {
        // As a loop does that waits for whatever comes first.
        let stream = stream(&session);
        settle().await;
        stream.abort();
        assert!(stream.await.unwrap_err().is_cancelled());
    }
    assert_eq!(rig.chaos.counts().reads, 1);

    session.destroy().unwrap();
    session.set("k", 2).unwrap();
    session.save().await.unwrap();
    let stream = stream(&session);
    settle().await;
    assert!(!stream.is_finished(), "the new session lives");
    stream.abort();
}

#[tokio::test]
async fn revocation_and_eviction_end_streams() {
    let rig = Rig::with(|p| p.per_owner = Some(OwnerLimit::new(1, Excess::Evict)));
    let first = rig.stored(|s| s.bind("tom")).await;
    let evicted = stream(&rig.load(&first).await);
    settle().await;
    rig.clock.advance(SECOND);
    let second = rig.stored(|s| s.bind("tom")).await;
    evicted.await.unwrap();

    let revoked = stream(&rig.load(&second).await);
    settle().await;
    assert!(!revoked.is_finished());
    rig.sessions.revoke(&Owner::new("tom").unwrap(), None).await.unwrap();
    revoked.await.unwrap();
}

#[tokio::test]
async fn whoever_finds_a_session_dead_tells_the_streams() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("k", 1)).await;
    let stream = stream(&rig.load(&id).await);
    settle().await;
    rig.neighbour().sessions.destroy(&key(&id)).await.unwrap();
    settle().await;
    assert!(!stream.is_finished());
    rig.load(&id).await;
    stream.await.unwrap();
}

#[tokio::test]
async fn a_change_of_id_elsewhere_ends_no_stream_and_a_revocation_after_it_does() {
    let rig = Rig::new();
    for meets in ["nothing", "a touch", "a reload", "a request"] {
        let old = rig.stored(|s| s.bind("tom")).await;
        rig.clock.advance(SECOND * 1000);
        let session = rig.load(&old).await;
        let streams = [stream(&rig.load(&old).await), stream(&session)];
        settle().await;
        let mut elsewhere = rig.neighbour().load(&old).await;
        for _ in 0..2 {
            elsewhere.regenerate().unwrap();
            elsewhere.save().await.unwrap();
            elsewhere = rig.neighbour().load(&elsewhere.id().unwrap()).await;
        }
        match meets {
            "a touch" => respond(&session).await.0.unwrap(),
            "a reload" => assert!(session.reload().await.is_err()),
            "a request" => drop(rig.load(&old).await),
            _ => {}
        }
        let late = stream(&session);
        settle().await;
        assert!(streams.iter().all(|stream| !stream.is_finished()), "{meets}");
        assert!(!late.is_finished(), "{meets}");
        let tom = Owner::new("tom").unwrap();
        assert_eq!(rig.sessions.revoke(&tom, None).await.unwrap(), 1);
        for stream in streams.into_iter().chain([late]) {
            stream.await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_logout_ends_streams_that_know_only_an_id_that_was_replaced_elsewhere() {
    let rig = Rig::new();
    let old = rig.stored(|s| s.bind("tom")).await;
    let other = rig.stored(|s| s.bind("tom")).await;
    let watching = stream(&rig.load(&old).await);
    let bystander = stream(&rig.load(&other).await);
    settle().await;
    let elsewhere = rig.neighbour().load(&old).await;
    elsewhere.regenerate().unwrap();
    elsewhere.save().await.unwrap();
    let logout = rig.load(&elsewhere.id().unwrap()).await;
    logout.destroy().unwrap();
    logout.save().await.unwrap();
    watching.await.unwrap();
    assert!(!bystander.is_finished());
    bystander.abort();
}

#[tokio::test]
async fn an_eviction_reads_no_session_of_another_owner() {
    let rig = Rig::with(|p| p.per_owner = Some(OwnerLimit::new(1, Excess::Evict)));
    let mut streams = Vec::new();
    for n in 0..20 {
        let id = rig.stored(|s| s.bind(format!("user-{n}"))).await;
        streams.push(stream(&rig.load(&id).await));
    }
    rig.stored(|s| s.bind("tom")).await;
    settle().await;
    rig.chaos.take_counts();
    rig.stored(|s| s.bind("tom")).await;
    settle().await;
    assert_eq!(rig.events.count("Revoked"), 1);
    assert_eq!(rig.chaos.counts().reads, 0);
    streams.iter().for_each(JoinHandle::abort);
}

#[tokio::test]
async fn a_stream_that_began_before_the_login_ends_with_the_owners_sessions() {
    let rig = Rig::new();
    for (new_id, first) in [(false, None), (true, None), (false, Some("ann")), (true, Some("ann"))]
    {
        let id = rig.stored(|s| first.map_or(s.set("k", 1), |first| s.bind(first))).await;
        let early = stream(&rig.load(&id).await);
        settle().await;
        let login = rig.load(&id).await;
        login.bind("tom").unwrap();
        if new_id {
            login.regenerate().unwrap();
        }
        login.save().await.unwrap();
        rig.sessions.revoke(&Owner::new("ann").unwrap(), None).await.unwrap();
        settle().await;
        assert!(!early.is_finished());
        rig.sessions.revoke(&Owner::new("tom").unwrap(), None).await.unwrap();
        early.await.unwrap();
    }
}

#[tokio::test]
async fn whoever_evicts_does_not_wait_for_the_streams() {
    let rig = Rig::with(|p| p.per_owner = Some(OwnerLimit::new(1, Excess::Evict)));
    let first = rig.stored(|s| s.bind("tom")).await;
    let evicted = stream(&rig.load(&first).await);
    settle().await;
    rig.clock.advance(SECOND);
    let hold = rig.chaos.hold(Operation::Read);
    rig.stored(|s| s.bind("tom")).await;
    settle().await;
    assert!(!evicted.is_finished());
    drop(hold);
    evicted.await.unwrap();
}
