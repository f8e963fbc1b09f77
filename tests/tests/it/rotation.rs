//! New ids, and the end of a session.

use serde_json::{Value, json};

cases! {
    /// H110
    async fn a_new_id_keeps_the_data(target) {
        let site = target.start("").visited().await;
        let old = site.a.copy();
        assert!(site.a.post("/rotate").await.ok().cookie().is_some());
        assert_ne!(site.a.sid(), old.sid());
        assert_eq!(site.a.get("/peek?k=foo").await.v(), "bar");
        assert_eq!(old.get("/peek?k=foo").await.v(), Value::Null);
        assert_eq!(site.count().await, 1);
    }

    /// H112
    async fn a_reset_drops_the_data_too(target) {
        let site = target.start("").visited().await;
        let old = site.a.copy();
        site.a.post("/reset").await.ok();
        assert_ne!(site.a.sid(), old.sid());
        assert_eq!(site.a.get("/peek").await.get("keys"), json!([]));
        assert_eq!(old.get("/peek").await.get("keys"), json!([]));
        assert!(site.count().await <= 1);
    }

    /// H113
    async fn some_data_can_be_kept(target) {
        let site = target.start("");
        let a = site.visitor();
        a.post("/do?ops=put:a:1,put:b:2").await.ok();
        let old = a.sid();
        a.post("/rotate?keep=a").await.ok();
        assert_ne!(a.sid(), old);
        assert_eq!(a.get("/peek").await.get("keys"), json!(["a"]));
    }

    /// H114
    async fn two_new_ids_in_one_request_are_one(target) {
        let site = target.start("").visited().await;
        let reply = site.a.post("/do?ops=rotate,rotate,put:x:1").await;
        assert!(reply.ok().cookie().is_some());
        assert_eq!(site.count().await, 1);
        assert_eq!(site.a.get("/peek").await.get("keys"), json!(["foo", "x"]));
    }

    /// H115
    async fn a_session_that_is_not_stored_yet_gets_one_id(target) {
        let site = target.start("");
        let a = site.visitor();
        assert!(a.post("/do?ops=put:x:1,rotate").await.ok().cookie().is_some());
        assert_eq!(site.count().await, 1);
        assert_eq!(a.get("/peek?k=x").await.v(), "1");
    }

    /// H116
    async fn what_is_set_after_a_new_id_is_under_the_new_id(target) {
        let site = target.start("").visited().await;
        let old = site.a.copy();
        site.a.post("/do?ops=rotate,put:x:1").await.ok();
        assert_eq!(site.a.get("/peek?k=x").await.v(), "1");
        assert_eq!(old.get("/peek?k=x").await.v(), Value::Null);
    }

    /// H118
    async fn a_new_id_for_no_session_is_none(target) {
        let site = target.start("");
        assert_eq!(site.visitor().post("/rotate").await.ok().cookie(), None);
        assert_eq!(site.count().await, 0);
        assert_eq!(site.ops().await, Default::default());
    }

    /// H121
    async fn ending_no_session_does_nothing(target) {
        let site = target.start("");
        assert_eq!(site.visitor().post("/destroy").await.ok().cookie(), None);
        let reply = site.visitor().post("/do?ops=put:a:1,destroy").await;
        assert_eq!(reply.ok().cookie(), None);
        assert_eq!(site.ops().await, Default::default());
    }

    /// H123
    async fn what_is_set_after_the_end_begins_a_new_session(target) {
        let site = target.start_with_clock("").visited().await;
        let before = site.list("").await[0]["created"].as_f64().unwrap();
        let old = site.a.copy();
        site.advance(std::time::Duration::from_secs(5)).await;
        site.a.post("/do?ops=destroy,put:a:1").await.ok();
        assert_ne!(site.a.sid(), old.sid());
        assert_eq!(site.a.get("/peek").await.get("keys"), json!(["a"]));
        assert_eq!(old.get("/peek").await.get("keys"), json!([]));
        let list = site.list("").await;
        assert_eq!(list.len(), 1);
        assert!(list[0]["created"].as_f64().unwrap() >= before + 4.0);
    }

    /// H125
    async fn a_replayed_cookie_gets_nothing_after_the_logout(target) {
        let site = target.start("").visited().await;
        let old = site.a.copy();
        assert!(site.a.post("/destroy").await.ok().removes_cookie());
        assert_eq!(site.a.sid(), None);
        let reply = old.get("/peek?k=foo").await;
        assert_eq!((reply.v(), reply.get("all")), (Value::Null, json!({})));
        assert_eq!(site.count().await, 0);
    }

    /// H126
    async fn a_handle_whose_session_was_ended_meanwhile_is_told(target) {
        let site = target.start("").visited().await;
        let b = site.a.copy();
        let held = b.post("/hold?b=r&ops=put:x:1,save");
        let (reply, ()) = tokio::join!(held, async {
            site.held("r", 1).await;
            site.a.post("/destroy").await.ok();
            site.release("r").await;
        });
        assert_eq!(reply.error(), (410, "gone".into()));
        assert_eq!(site.count().await, 0);
    }

    /// H128
    async fn within_the_grace_an_old_id_reads_and_does_not_write(target) {
        let site = target.start_with_clock("--grace 30").visited().await;
        let old = site.a.copy();
        site.a.post("/rotate").await.ok();
        let reply = old.get("/peek?k=foo").await;
        assert_eq!((reply.v(), reply.cookie()), ("bar".into(), None));
        let reply = old.post("/put?k=x&v=1").await;
        assert_eq!((reply.error(), reply.cookie()), ((410, "gone".into()), None));
        assert_eq!(site.a.get("/peek?k=x").await.v(), Value::Null);
        assert_eq!(site.count().await, 1);
        site.advance(std::time::Duration::from_secs(31)).await;
        assert_eq!(old.get("/peek?k=foo").await.v(), Value::Null);
        assert_eq!(site.a.get("/peek?k=foo").await.v(), "bar");
    }

    /// A logout by the old id ends the session under its new one.
    async fn a_logout_by_the_old_id_ends_the_session(target) {
        let site = target.start("").visited().await;
        let old = site.a.copy();
        site.a.post("/rotate").await.ok();
        assert!(old.post("/destroy").await.ok().removes_cookie());
        assert_eq!(site.a.get("/peek?k=foo").await.v(), Value::Null);
        assert_eq!(site.count().await, 0);
    }

    /// Acceptance 57
    async fn of_a_chain_of_ids_only_the_last_is_good_for_anything(target) {
        let site = target.start("").visited().await;
        let mut old = Vec::new();
        for _ in 0..5 {
            old.push(site.a.copy());
            site.a.post("/rotate").await.ok();
        }
        for dead in old {
            assert_eq!(dead.get("/peek?k=foo").await.v(), Value::Null);
            assert_eq!(dead.post("/do?ops=touch").await.get("out"), json!([false]));
            dead.post("/put?k=foo&v=dead").await.ok();
            dead.post("/do?ops=del:foo,clear").await.ok();
        }
        assert_eq!(site.a.get("/peek?k=foo").await.v(), "bar");
    }
}
