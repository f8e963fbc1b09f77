//! Creation, laziness, isolation.

use axum::Router;
use axum::routing::post;
use serde_json::{Value, json};
use session_http::Session;

use crate::in_process::serve;

cases! {
    /// H002
    async fn a_visitor_who_only_reads_gets_no_session(target) {
        let site = target.start("");
        let reply = site.visitor().get("/peek?k=x").await;
        assert_eq!(reply.v(), Value::Null);
        assert_eq!(reply.get("status"), "new");
        assert_eq!(reply.cookie(), None);
        assert_eq!(site.ops().await, Default::default());
    }

    /// H003
    async fn the_first_value_makes_a_session(target) {
        let site = target.start("");
        let reply = site.visitor().post("/put?k=foo&v=bar").await;
        assert!(reply.ok().cookie().is_some());
        assert_eq!(site.ops().await.creates, 1);
        assert_eq!(site.count().await, 1);
    }

    /// H004
    async fn the_next_request_reads_it_and_gets_no_cookie(target) {
        let site = target.start("").visited().await;
        let reply = site.a.get("/peek?k=foo").await;
        assert_eq!(reply.v(), "bar");
        assert_eq!(reply.cookie(), None);
        let ops = site.ops().await;
        assert_eq!((ops.reads, ops.updates, ops.creates), (1, 0, 0));
    }

    /// H006
    async fn a_counter_counts_in_one_record(target) {
        let site = target.start("");
        let a = site.visitor();
        for n in 1..=3 {
            assert_eq!(a.post("/incr?k=c").await.v(), n);
        }
        assert_eq!(site.count().await, 1);
    }

    /// H007
    async fn two_visitors_do_not_see_each_other(target) {
        let site = target.start("");
        let (a, b) = (site.visitor(), site.visitor());
        a.post("/put?k=of_a&v=1").await.ok();
        b.post("/put?k=of_b&v=1").await.ok();
        assert_ne!(a.sid(), b.sid());
        assert_eq!(site.count().await, 2);
        assert_eq!(a.get("/peek").await.get("keys"), json!(["of_a"]));
        assert_eq!(b.get("/peek").await.get("keys"), json!(["of_b"]));
    }

    /// H008
    async fn where_every_visitor_gets_a_session_an_untouched_request_makes_one(target) {
        let site = target.start("--eager");
        let a = site.visitor();
        assert!(a.get("/noop").await.ok().cookie().is_some());
        assert_eq!(site.count().await, 1);
        assert_eq!(a.get("/peek").await.get("status"), "loaded");
    }

    /// H009
    async fn an_untouched_request_leaves_no_trace(target) {
        let site = target.start("--persist");
        let reply = site.visitor().get("/noop").await;
        assert_eq!(reply.ok().cookie(), None);
        assert_eq!(site.ops().await, Default::default());
        assert_eq!(site.count().await, 0);
    }

    /// H011
    async fn untouched_requests_with_a_session_cost_no_store_call(target) {
        let site = target.start("").visited().await;
        for _ in 0..20 {
            site.a.get("/noop").await.ok();
        }
        assert_eq!(site.ops().await, Default::default());
    }

    /// H013
    async fn an_empty_post_gets_no_cookie(target) {
        let site = target.start("");
        assert_eq!(site.visitor().post("/noop").await.ok().cookie(), None);
    }

    /// H015
    async fn an_id_whose_record_is_gone_is_not_used_again(target) {
        let site = target.start("").visited().await;
        let old = site.a.sid();
        site.empty().await;
        let reply = site.a.get("/peek?k=foo").await;
        assert_eq!(reply.v(), Value::Null);
        assert!(["expired", "unknown"].contains(&reply.get("status").as_str().unwrap()));
        assert!(site.a.post("/put?k=foo&v=new").await.ok().cookie().is_some());
        assert_ne!(site.a.sid(), old);
        assert_eq!(site.count().await, 1);
    }
}

cases_in_one_process! {
    /// H012
    async fn a_layer_that_is_installed_twice_works_once(target) {
        async fn put(session: Session) {
            session.set("a", 1).unwrap();
        }
        let here = target.here().await;
        let layer = here.layer().build().unwrap();
        let router = Router::new().route("/put", post(put)).layer(layer.clone()).layer(layer);
        let server = serve(router).await;
        assert!(server.a.post("/put").await.ok().cookie().is_some());
        assert_eq!(server.a.post("/put").await.ok().cookie(), None);
        let counts = here.chaos.counts();
        assert_eq!((counts.reads, counts.creates, counts.writes), (1, 1, 0));
        assert_eq!(here.count().await, 1);
    }
}
