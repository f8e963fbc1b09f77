//! What other session systems get wrong, as whole stories.

use std::time::Duration;

use serde_json::{Value, json};
use session_core::{OsRandom, SessionId};

cases! {
    /// 1
    async fn two_slow_requests_both_keep_what_they_wrote(target) {
        let site = target.start("").visited().await;
        let uris = ["/hold?b=r&ops=put:a:1", "/hold?b=r&ops=put:b:1"];
        let (one, two, ()) = tokio::join!(site.a.post(uris[0]), site.a.post(uris[1]), async {
            site.held("r", 2).await;
            site.release("r").await;
        });
        one.ok();
        two.ok();
        assert_eq!(site.a.get("/peek").await.get("keys"), json!(["a", "b", "foo"]));
    }

    /// 2 and 3
    async fn a_slow_request_does_not_undo_a_logout_under_any_id(target) {
        let site = target.start("").visited().await;
        let (slow, old) = (site.a.copy(), site.a.copy());
        let held = slow.post("/hold?b=r&ops=put:z:1");
        let (reply, ()) = tokio::join!(held, async {
            site.held("r", 1).await;
            site.a.post("/destroy").await.ok();
            site.release("r").await;
        });
        assert!(!reply.status.is_success());
        for jar in [&slow, &old] {
            assert_eq!(jar.get("/peek").await.get("all"), json!({}));
        }
        assert_eq!(site.count().await, 0);
    }

    /// 4
    async fn a_slow_request_does_not_undo_a_revocation(target) {
        let site = target.start("").visited().await;
        site.a.post("/bind?who=ann").await.ok();
        let (slow, old) = (site.a.copy(), site.a.copy());
        let held = slow.post("/hold?b=r&ops=put:z:1");
        let (reply, ()) = tokio::join!(held, async {
            site.held("r", 1).await;
            let revoked = site.visitor().post("/ctl/revoke?who=ann").await;
            assert_eq!(revoked.get("removed"), 1);
            site.release("r").await;
        });
        assert_eq!(reply.error(), (410, "gone".into()));
        for jar in [&slow, &old] {
            assert_eq!(jar.get("/peek").await.get("all"), json!({}));
        }
        assert_eq!(site.list("who=ann").await.len(), 0);
    }

    /// 5
    async fn a_slow_reader_survives_a_new_id_and_its_old_id_writes_nothing(target) {
        let site = target.start("").visited().await;
        let slow = site.a.copy();
        let held = slow.get("/hold?b=r&ops=peek:foo");
        let (reply, ()) = tokio::join!(held, async {
            site.held("r", 1).await;
            site.a.post("/rotate").await.ok();
            site.release("r").await;
        });
        assert_eq!((reply.get("out"), reply.cookie()), (json!(["bar"]), None));
        assert_eq!(site.a.get("/peek?k=foo").await.v(), "bar");
        slow.post("/put?k=foo&v=old").await;
        assert_eq!(site.a.get("/peek?k=foo").await.v(), "bar");
    }

    /// 6
    async fn a_new_id_that_cannot_be_stored_leaves_the_old_one_alive(target) {
        let site = target.start("").visited().await;
        site.fault("errset").await;
        let reply = site.a.post("/rotate").await;
        assert_eq!((reply.error(), reply.cookie()), ((503, "unavailable".into()), None));
        site.fault("up").await;
        assert_eq!(site.a.get("/peek?k=foo").await.v(), "bar");
        assert_eq!(site.count().await, 1);
    }

    /// 7, 8, 9, 10 and 11
    async fn an_outage_loses_nothing(target) {
        let site = target.start("").visited().await;
        site.fault("down").await;
        let reply = site.a.get("/peek?k=foo").await;
        assert_eq!((reply.error(), reply.cookie()), ((503, "unavailable".into()), None));
        let reply = site.a.post("/put?k=foo&v=new").await;
        assert_eq!((reply.status.as_u16(), reply.cookie()), (503, None));
        assert!(!reply.headers.contains_key("etag"));
        // The store could not even be asked, so the client keeps its cookie.
        let reply = site.a.post("/destroy").await;
        assert_eq!((reply.status.as_u16(), reply.cookie()), (503, None));
        assert_eq!(site.visitor().get("/peek?k=foo").await.v(), Value::Null);
        site.a.get("/noop").await.ok();
        site.fault("up").await;
        assert_eq!(site.a.get("/peek?k=foo").await.v(), "bar");
    }

    /// 8
    async fn an_error_has_nothing_of_the_response_that_it_replaces(target) {
        let site = target.start("").visited().await;
        site.fault("errset").await;
        let reply = site.a.get("/status?code=201&ops=put:x:1").await;
        assert_eq!(reply.error(), (503, "unavailable".into()));
        let length = reply.headers["content-length"].to_str().unwrap();
        assert_eq!(length, reply.body.len().to_string());
    }

    /// 12
    async fn an_emptied_store_signs_everyone_out_and_breaks_nothing(target) {
        let site = target.start("").visited().await;
        let old = site.a.sid();
        site.empty().await;
        assert_eq!(site.a.get("/peek?k=foo").await.v(), Value::Null);
        site.a.post("/put?k=foo&v=new").await.ok();
        assert_ne!(site.a.sid(), old);
    }

    /// 15
    async fn a_planted_id_is_never_adopted(target) {
        let site = target.start("");
        let planted = SessionId::generate(&OsRandom).unwrap();
        let victim = site.visitor_with(planted.expose());
        victim.post("/do?ops=rotate,put:user:ann").await.ok();
        assert_ne!(victim.sid().as_deref(), Some(planted.expose()));
        let reply = site.visitor_with(planted.expose()).get("/peek?k=user").await;
        assert_eq!(reply.v(), Value::Null);
    }

    /// 16
    async fn a_damaged_signature_is_no_server_error(target) {
        let key = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        let site = target.start(&format!("--sign-key {key}")).visited().await;
        let signed = site.a.sid().unwrap();
        for at in 0..=signed.len() {
            for garbage in ["%C3%A9", "%00", "é", "="] {
                let value = format!("{}{garbage}{}", &signed[..at], &signed[at..]);
                let reply = site.visitor_with(&value).get("/peek?k=foo").await;
                assert_eq!(reply.v(), Value::Null, "{value}");
            }
        }
        assert_eq!(site.ops().await.reads, 0);
    }

    /// 17 and 18
    async fn a_change_that_only_counts_or_removes_is_a_change(target) {
        let site = target.start("").visited().await;
        assert_eq!(site.a.post("/incr?k=n").await.v(), 1);
        assert_eq!(site.a.post("/incr?k=n").await.v(), 2);
        assert_eq!(site.a.get("/peek?k=n").await.v(), 2);
        site.a.post("/del?k=foo").await.ok();
        assert_eq!(site.a.get("/peek?k=foo").await.v(), Value::Null);
    }

    /// 19
    async fn a_session_can_end_and_another_begin_in_one_request(target) {
        let site = target.start("").visited().await;
        let old = site.a.copy();
        site.a.post("/do?ops=destroy,put:k:7").await.ok();
        assert_ne!(site.a.sid(), old.sid());
        assert_eq!(site.a.get("/peek").await.get("all"), json!({ "k": "7" }));
        assert_eq!(old.get("/peek").await.get("all"), json!({}));
    }

    /// 20
    async fn a_host_cookie_lives_its_whole_life_in_a_browser(target) {
        let site = target.start("--name __Host-sid --secure on");
        let a = site.visitor().over_https();
        let set = a.post("/put?k=foo&v=bar").await.set_cookie("__Host-sid").unwrap();
        assert!(set.contains("; Secure") && set.contains("; Path=/") && !set.contains("Domain"));
        assert_eq!(a.get("/peek?k=foo").await.v(), "bar");
        let removal = a.post("/destroy").await.set_cookie("__Host-sid").unwrap();
        assert!(removal.starts_with("__Host-sid=;") && removal.contains("Max-Age=0"));
        assert!(removal.contains("; Secure") && removal.contains("; Path=/"));
        assert_eq!(a.jar().value("__Host-sid"), None);
        // Over a plain connection a browser takes none of it.
        let plain = site.visitor();
        plain.post("/put?k=foo&v=bar").await.ok();
        assert_eq!(plain.jar().value("__Host-sid"), None);
    }

    /// 29
    async fn a_removal_has_the_domain_of_the_cookie(target) {
        let site = target.start("--domain example.org --path /");
        let a = site.visitor().to_host("app.example.org");
        a.post("/put?k=foo&v=bar").await.ok();
        let other = a.clone().to_host("www.example.org");
        assert_eq!(other.get("/peek?k=foo").await.v(), "bar");
        a.post("/destroy").await.ok();
        assert_eq!(a.sid(), None);
    }

    /// 36
    async fn a_visit_from_the_first_page_to_the_logout(target) {
        let site = target.start("--persist");
        let a = site.visitor();
        assert_eq!(a.get("/peek").await.ok().cookie(), None);
        let reply = a.post("/incr?k=counter").await;
        assert_eq!((reply.v(), reply.cookie().is_some()), (1.into(), true));
        assert_eq!(a.get("/peek?k=counter").await.ok().cookie(), None);
        assert_eq!(a.post("/incr?k=counter").await.v(), 2);
        let old = a.copy();
        a.post("/do?ops=rotate,put:user:ann").await.ok();
        assert_ne!(a.sid(), old.sid());
        assert_eq!(a.get("/peek").await.get("all"), json!({ "counter": 2, "user": "ann" }));
        assert_eq!(a.post("/incr?k=counter").await.v(), 3);
        assert_eq!(old.get("/peek").await.get("all"), json!({}));
        assert!(a.post("/destroy").await.ok().removes_cookie());
        let reply = a.get("/peek").await;
        assert_eq!((reply.get("all"), reply.cookie()), (json!({}), None));
    }

    /// 66
    async fn one_login_ends_the_others_and_nobody_elses(target) {
        let site = target.start("");
        let [a, b, other] = [site.visitor(), site.visitor(), site.visitor()];
        for (visitor, who) in [(&a, "ann"), (&b, "ann"), (&other, "bob")] {
            visitor.post("/put?k=foo&v=bar").await.ok();
            visitor.post(&format!("/bind?who={who}")).await.ok();
        }
        assert_eq!(site.list("who=ann").await.len(), 2);
        assert_eq!(a.post("/ctl/revoke?who=ann&except").await.get("removed"), 1);
        assert_eq!(a.get("/peek?k=foo").await.v(), "bar");
        assert_eq!(b.get("/peek?k=foo").await.v(), Value::Null);
        assert_eq!(other.get("/peek?k=foo").await.v(), "bar");
        assert_eq!(site.list("who=ann").await.len(), 1);
        assert_eq!(a.post("/ctl/revoke?who=nobody").await.get("removed"), 0);
    }
}

cases_in_two_processes! {
    /// 13 and 14
    async fn what_happens_in_one_process_is_seen_in_the_other(target) {
        let site = target.start("").visited().await;
        let (here, there) = (site.a.on(0), site.a.on(1));
        for n in 0..50 {
            here.post(&format!("/put?k=n&v={n}")).await.ok();
            assert_eq!(there.get("/peek?k=n").await.v(), n.to_string());
        }
        let old = there.copy();
        here.post("/destroy").await.ok();
        assert_eq!(old.get("/peek?k=foo").await.v(), Value::Null);
    }

    /// A process that is killed takes no session with it.
    async fn sessions_outlive_the_process_that_made_them(target) {
        let mut site = target.start("--idle 600");
        let a = site.visitor();
        a.on(0).post("/put?k=foo&v=bar").await.ok();
        site.kill(0);
        assert_eq!(a.on(1).get("/peek?k=foo").await.v(), "bar");
        tokio::time::timeout(Duration::from_secs(10), a.on(1).post("/put?k=foo&v=new"))
            .await
            .unwrap()
            .ok();
    }
}
