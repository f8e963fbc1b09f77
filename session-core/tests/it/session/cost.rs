//! What a request costs the store, counted.

use session_core::testkit::Counts;
use session_core::{CookieAction, Save, Session, SessionId};

use super::support::{Rig, SECOND, respond};

/// Lets one request do something; returns what it cost.
async fn cost(rig: &Rig, id: &SessionId, request: impl FnOnce(&Session)) -> Counts {
    rig.chaos.take_counts();
    let session = rig.load(id).await;
    request(&session);
    respond(&session).await.0.unwrap();
    Counts { bytes_written: 0, ..rig.chaos.take_counts() }
}

const READ: Counts =
    Counts { reads: 1, creates: 0, writes: 0, touches: 0, destroys: 0, gcs: 0, bytes_written: 0 };

#[tokio::test]
async fn each_request_costs_what_it_needs_and_no_more() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.put([("a", 1), ("b", 2)])).await;
    let write = Counts { writes: 1, ..READ };
    type Request = fn(&Session);
    let requests: [(&str, Request, Counts); 10] = [
        ("nothing", |_| (), READ),
        ("a read", |s| assert!(s.exists("a").unwrap()), READ),
        ("a change", |s| s.set("a", 2).unwrap(), write),
        ("ten changes", |s| (0..10).for_each(|n| s.set("a", 10 + n).unwrap()), write),
        ("the same value", |s| s.set("a", 19).unwrap(), READ),
        ("there and back", |s| (s.set("a", 0).unwrap(), s.set("a", 19).unwrap()).1, READ),
        ("removing what is not there", |s| s.delete("absent").unwrap(), READ),
        ("an empty flush", |s| s.forget([""; 0]).unwrap(), READ),
        ("a new id", |s| s.regenerate().unwrap(), Counts { creates: 1, ..write }),
        ("nothing, by the old id", |_| (), READ),
    ];
    for (name, request, expected) in requests {
        assert_eq!(cost(&rig, &id, request).await, expected, "{name}");
    }
    let id = rig.stored(|s| s.set("a", 1)).await;
    let logout = cost(&rig, &id, |s| s.destroy().unwrap()).await;
    assert_eq!(logout, Counts { destroys: 1, ..READ });
}

#[tokio::test]
async fn a_visitor_of_whom_nothing_is_kept_costs_nothing_and_gets_no_cookie() {
    let rig = Rig::new();
    for request in [
        |_: &Session| (),
        |s: &Session| assert_eq!(s.get::<i64>("k").unwrap(), None),
        |s: &Session| s.delete("k").unwrap(),
        |s: &Session| s.flush().unwrap(),
        |s: &Session| (s.set("k", 1).unwrap(), s.delete("k").unwrap()).1,
        |s: &Session| s.set_idle(Some(SECOND)).unwrap(),
        |s: &Session| s.regenerate().unwrap(),
        |s: &Session| s.unbind().unwrap(),
    ] {
        let session = rig.sessions.create();
        request(&session);
        let (saved, cookie) = respond(&session).await;
        saved.unwrap();
        assert_eq!((cookie, rig.chaos.counts()), (CookieAction::Keep, Counts::default()));
    }
    let session = rig.sessions.create();
    session.establish().unwrap();
    respond(&session).await.0.unwrap();
    assert_eq!(rig.chaos.counts().creates, 1, "unless every visitor is to have an id");
}

#[tokio::test]
async fn what_was_saved_explicitly_is_not_saved_again() {
    let rig = Rig::new();
    let session = rig.sessions.create();
    session.set("a", 1).unwrap();
    session.save().await.unwrap();
    assert!(session.seal(Save::All).is_none());
    assert_eq!(rig.chaos.counts().creates, 1);

    let id = rig.stored(|s| s.set("a", 1)).await;
    let session = rig.load(&id).await;
    session.set("a", 2).unwrap();
    session.save().await.unwrap();
    session.set("b", 3).unwrap();
    respond(&session).await.0.unwrap();
    assert_eq!(rig.chaos.counts().writes, 2);
}

#[tokio::test]
async fn mere_use_touches_once_per_interval_and_writes_no_payload() {
    let rig = Rig::with(|p| p.touch_interval = Some(SECOND * 100));
    let id = rig.stored(|s| s.set("a", 1)).await;
    rig.clock.advance(SECOND * 99);
    assert_eq!(cost(&rig, &id, |_| ()).await, READ);
    rig.clock.advance(SECOND);
    assert_eq!(cost(&rig, &id, |_| ()).await, Counts { touches: 1, ..READ });
    assert_eq!(cost(&rig, &id, |_| ()).await, READ);
    rig.clock.advance(SECOND * 200);
    let change = cost(&rig, &id, |s| s.set("a", 2).unwrap()).await;
    assert_eq!(change, Counts { writes: 1, ..READ }, "a write is a touch");
    assert_eq!(cost(&rig, &id, |s| s.set("a", 2).unwrap()).await, READ);
}

#[tokio::test]
async fn a_stale_save_costs_one_more_read_and_one_more_write() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("a", 1)).await;
    let other = rig.load(&id).await;
    other.set("b", 1).unwrap();
    let session = rig.load(&id).await;
    other.save().await.unwrap();
    rig.chaos.take_counts();
    session.set("a", 2).unwrap();
    session.save().await.unwrap();
    let counts = rig.chaos.counts();
    assert_eq!((counts.reads, counts.writes), (1, 2));
}

#[tokio::test]
async fn first_visits_in_parallel_make_one_record_each_or_none() {
    let rig = Rig::new();
    for _ in 0..10 {
        respond(&rig.sessions.create()).await.0.unwrap();
    }
    assert_eq!(rig.count().await, 0);
    for n in 0..10 {
        let session = rig.sessions.create();
        session.set("n", n).unwrap();
        respond(&session).await.0.unwrap();
        assert_eq!(rig.peek(&session.id().unwrap(), "n").await, Some(n));
    }
    assert_eq!(rig.count().await, 10);
}

#[tokio::test]
async fn a_session_that_was_refreshed_is_not_touched_again() {
    let rig = Rig::with(|p| p.touch_interval = Some(SECOND * 100));
    let id = rig.stored(|s| s.set("a", 1)).await;
    rig.clock.advance(SECOND * 200);
    let session = rig.load(&id).await;
    assert!(session.refresh().await.unwrap());
    respond(&session).await.0.unwrap();
    assert_eq!(rig.chaos.counts(), Counts { touches: 1, ..READ });
    assert_eq!(rig.events.count("Touched"), 1);
}
