//! Sessions that one request at a time may use.

use std::time::Duration;

use axum::Router;
use axum::routing::post;
use serde_json::{Value, json};
use session_core::Exclusive;
use session_http::{Session, SessionLayer};

use crate::in_process::{cookie, serve};

/// A lock that nobody frees falls free after 600 s, and nobody waits for it.
const IMPATIENT: &str = "--lock-wait 0.05 --lock-lease 600 --idle 6000 --absolute 60000";

cases! {
    /// H205 and H206
    async fn a_holder_that_stalls_is_refused_and_frees_no_lock_but_its_own(target) {
        let args = "--lock-wait 0.05 --lock-lease 60 --idle 600";
        let site = target.start_with_clock(args).visited().await;
        let (stalled, next) = (site.a.on(0), site.a.on(target.processes - 1));
        let first = stalled.post("/hold?b=first&ops=put:foo:stalled,put:x:1");
        let (reply, ()) = tokio::join!(first, async {
            site.held("first", 1).await;
            site.advance(Duration::from_secs(90)).await;
            next.post("/put?k=foo&v=other").await.ok();
            let second = next.post("/hold?b=second&ops=put:y:1");
            let (reply, ()) = tokio::join!(second, async {
                site.held("second", 1).await;
                site.release("first").await;
                // The stalled one ends now, and this one still holds the lock.
                while stalled.get("/ctl/waiting?b=first").await.get("waiting") != 0 {
                    tokio::task::yield_now().await;
                }
                let third = stalled.post("/put?k=z&v=1").await;
                assert_eq!(third.error(), (423, "locked".into()));
                site.release("second").await;
            });
            reply.ok();
        });
        assert_eq!(reply.error(), (423, "locked".into()));
        let all = site.a.get("/peek").await.get("all");
        assert_eq!(all, json!({ "foo": "other", "y": "1" }));
    }

    /// H208
    async fn under_a_lock_a_new_id_works_and_the_old_lock_is_free(target) {
        let site = target.start(IMPATIENT).visited().await;
        let old = site.a.copy();
        site.a.post("/rotate").await.ok();
        site.a.post("/put?k=x&v=1").await.ok();
        assert_eq!(old.get("/peek?k=x").await.v(), Value::Null);
        // The new id has a lock of its own.
        let held = site.a.post("/hold?b=r&ops=put:y:1");
        let (reply, ()) = tokio::join!(held, async {
            site.held("r", 1).await;
            assert_eq!(site.a.post("/put?k=x&v=2").await.error(), (423, "locked".into()));
            site.release("r").await;
        });
        reply.ok();
        assert_eq!(site.a.get("/peek").await.get("keys"), json!(["foo", "x", "y"]));
    }

    /// A reader that says so waits for no lock.
    async fn a_reader_that_says_so_takes_no_lock(target) {
        let site = target.start(IMPATIENT).visited().await;
        let held = site.a.post("/hold?b=r&ops=put:y:1");
        let (reply, ()) = tokio::join!(held, async {
            site.held("r", 1).await;
            site.release("other").await;
            let reply = site.a.get("/hold?b=other&mode=ro&ops=peek:foo").await;
            assert_eq!(reply.get("out"), json!(["bar"]));
            site.release("r").await;
        });
        reply.ok();
    }
}

cases_in_one_process! {
    /// H209
    async fn who_frees_the_lock_early_delays_nobody(target) {
        let here = target.here().await;
        let mut policy = session_core::Policy::default();
        let wait = Duration::from_millis(50);
        policy.exclusive = Some(Exclusive::new(wait, Duration::from_secs(600)));
        let sessions = here.manager().policy(policy).build().unwrap();
        let gate = std::sync::Arc::new(tokio::sync::Barrier::new(2));
        let at_work = std::sync::Arc::clone(&gate);
        let router = Router::new()
            .route("/put", post(async |s: Session| s.set("a", 1).unwrap()))
            .route("/work", post(async move |s: Session| {
                s.set("b", 2).unwrap();
                s.save().await.unwrap();
                s.unlock().await;
                at_work.wait().await;
                at_work.wait().await;
                s.set("c", 3).unwrap();
            }))
            .route("/keys", post(async |s: Session| s.keys().unwrap().concat()))
            .layer(SessionLayer::builder(sessions).cookie(cookie()).build().unwrap());
        let server = serve(router).await;
        server.a.post("/put").await.ok();
        let (reply, ()) = tokio::join!(server.a.post("/work"), async {
            gate.wait().await;
            assert_eq!(server.a.post("/keys").await.ok().body, "ab");
            gate.wait().await;
        });
        reply.ok();
        assert_eq!(server.a.post("/keys").await.ok().body, "abc");
    }
}

cases_in_two_processes! {
    /// H204
    async fn the_lock_of_a_killed_process_falls_free(target) {
        let args = "--lock-wait 0.05 --lock-lease 60 --idle 600";
        let mut site = target.start_with_clock(args);
        let a = site.visitor().on(1);
        a.post("/put?k=foo&v=bar").await.ok();
        // Never gets an answer.
        let doomed = site.visitor_with(&a.sid().unwrap()).on(0);
        let request = doomed.request(http::Method::POST, "/hold?b=r&ops=put:x:1");
        let lost = tokio::spawn(session_tests::Client::send_alone(doomed.next_server(), request));
        site.held("r", 1).await;
        assert_eq!(a.post("/put?k=y&v=1").await.error(), (423, "locked".into()));
        site.kill(0);
        assert!(lost.await.unwrap().is_err());
        site.advance(Duration::from_secs(66)).await;
        a.post("/put?k=y&v=1").await.ok();
        assert_eq!(a.get("/peek").await.get("keys"), json!(["foo", "y"]));
    }
}
