//! Reading, writing, dirtiness.

use axum::Router;
use axum::routing::post;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use session_http::Session;

use crate::in_process::serve;

cases! {
    /// H022
    async fn only_requests_that_change_something_write(target) {
        let site = target.start("").visited().await;
        site.a.post("/put?k=foo&v=1").await.ok();
        assert_eq!(site.ops().await.updates, 1);
        site.a.get("/peek?k=foo").await.ok();
        assert_eq!(site.ops().await.updates, 0);
        site.a.post("/put?k=foo&v=2").await.ok();
        assert_eq!(site.ops().await.updates, 1);
    }

    /// H023
    async fn many_changes_in_one_request_are_one_write(target) {
        let site = target.start("").visited().await;
        site.a.post("/putn?n=5&k=foo&v=new").await.ok();
        let ops = site.ops().await;
        assert_eq!((ops.reads, ops.updates, ops.creates), (1, 1, 0));
    }

    /// A value that is equal to the stored one is no change.
    async fn the_same_value_again_is_no_write(target) {
        let site = target.start("--throttle 30").visited().await;
        assert_eq!(site.a.post("/put?k=foo&v=bar").await.ok().cookie(), None);
        let ops = site.ops().await;
        assert_eq!((ops.reads, ops.updates, ops.touches), (1, 0, 0));
    }

    /// H024
    async fn a_change_inside_a_structure_is_seen(target) {
        let site = target.start("");
        let a = site.visitor();
        a.post("/put?k=cart&vj={%22items%22:[{%22n%22:1}]}").await.ok();
        a.post("/nest?k=cart&p=items.0.n&vj=2").await.ok();
        assert_eq!(a.get("/peek?k=cart").await.v(), json!({ "items": [{ "n": 2 }] }));
    }

    /// H025
    async fn no_key_is_special(target) {
        let site = target.start("");
        let a = site.visitor();
        let keys = ["__proto__", "_flash", "cookie", "id", "meta", "save"];
        for key in keys {
            a.post(&format!("/put?k={key}&v=1")).await.ok();
            a.post(&format!("/put?k={key}&vj={{%22{key}%22:{{%22id%22:1}}}}")).await.ok();
            a.post(&format!("/nest?k={key}&p={key}.id&vj=2")).await.ok();
        }
        let reply = a.get("/peek").await;
        assert_eq!(reply.get("keys"), json!(keys));
        for key in keys {
            assert_eq!(reply.get("all")[key], json!({ key: { "id": 2 } }));
        }
        a.post("/rotate").await.ok();
        a.post("/del?k=id").await.ok();
        assert_eq!(a.get("/peek").await.get("keys").as_array().unwrap().len(), keys.len() - 1);
    }

    /// H026
    async fn keys_are_sorted_and_only_the_users(target) {
        let site = target.start("");
        let a = site.visitor();
        a.post("/do?ops=put:b:1,put:a:1").await.ok();
        a.post("/flash?m=hello").await.ok();
        a.post("/bind?who=ann").await.ok();
        assert_eq!(a.get("/peek").await.get("keys"), json!(["a", "b"]));
    }

    /// H028
    async fn a_deleted_key_is_gone_and_no_other(target) {
        let site = target.start("").visited().await;
        site.a.post("/put?k=other&v=1").await.ok();
        assert_eq!(site.a.post("/del?k=foo").await.v(), "bar");
        let reply = site.a.get("/peek?k=foo").await;
        assert_eq!((reply.v(), reply.get("keys")), (Value::Null, json!(["other"])));
    }

    /// H029
    async fn deleting_an_absent_key_writes_nothing(target) {
        let site = target.start("").visited().await;
        site.a.post("/del?k=absent").await.ok();
        assert_eq!(site.ops().await.updates, 0);
    }

    /// H032
    async fn a_value_is_popped_once(target) {
        let site = target.start("").visited().await;
        assert_eq!(site.a.post("/pop?k=foo").await.v(), "bar");
        assert_eq!(site.ops().await.updates, 1);
        assert_eq!(site.a.post("/pop?k=foo").await.v(), Value::Null);
        assert_eq!(site.ops().await.updates, 0);
    }

    /// H033
    async fn a_value_of_another_type_is_a_typed_error(target) {
        let site = target.start("").visited().await;
        let error = site.a.get("/peekint?k=foo").await.error();
        assert_eq!(error, (422, "type_mismatch".into()));
        assert_eq!(site.a.post("/incr?k=foo").await.error().1, "type_mismatch");
        assert_eq!(site.a.get("/peek?k=foo").await.v(), "bar");
        assert_eq!(site.a.post("/incr?k=n").await.v(), 1);
        assert_eq!(site.a.get("/peekint?k=n").await.v(), 1);
    }

    /// H034
    async fn odd_text_comes_back_as_it_was(target) {
        let site = target.start("");
        let a = site.visitor();
        for text in ["a\0b", "\u{1F980}\u{10FFFF}", "\"'`\\;\r\n", "e\u{301}", "+ %41 &=", ""] {
            let encoded = utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
            a.post(&format!("/put?k={encoded}&v={encoded}")).await.ok();
            let reply = a.get(&format!("/peek?k={encoded}")).await;
            assert_eq!(reply.v(), text);
            assert!(reply.get("keys").as_array().unwrap().contains(&json!(text)));
        }
        // Not text, and so kept as bytes.
        a.post("/put?k=bytes&v=%FF%FE%00a").await.ok();
        assert_eq!(a.get("/peek?k=bytes").await.v(), json!([0xFF, 0xFE, 0, b'a']));
    }

    /// H037
    async fn what_was_saved_is_not_saved_again_at_the_end(target) {
        let site = target.start("").visited().await;
        site.a.post("/do?ops=put:a:1,save").await.ok();
        let ops = site.ops().await;
        assert_eq!((ops.creates, ops.updates), (0, 1));
        site.visitor().post("/do?ops=put:a:1,save").await.ok();
        let ops = site.ops().await;
        assert_eq!((ops.creates, ops.updates), (1, 0));
    }

    /// H038
    async fn what_changes_after_a_save_is_saved_at_the_end(target) {
        let site = target.start("").visited().await;
        site.a.post("/do?ops=put:a:1,save,put:b:2").await.ok();
        assert_eq!(site.ops().await.updates, 2);
        assert_eq!(site.a.get("/peek").await.get("keys"), json!(["a", "b", "foo"]));
    }

    /// H039
    async fn reloading_shows_what_another_request_has_written(target) {
        let site = target.start("").visited().await;
        let held = site.a.get("/hold?b=r&ops=peek:url,reload,peek:url");
        let (reply, ()) = tokio::join!(held, async {
            site.held("r", 1).await;
            site.a.post("/put?k=url&v=/bar").await.ok();
            site.release("r").await;
        });
        assert_eq!(reply.get("out"), json!([null, null, "/bar"]));
    }

    /// H040
    async fn reloading_drops_what_was_not_saved(target) {
        let site = target.start("").visited().await;
        let reply = site.a.post("/do?ops=put:x:1,reload,peek:x").await;
        assert_eq!(reply.get("out")[2], Value::Null);
        assert_eq!(site.a.get("/peek?k=x").await.v(), Value::Null);
    }

    /// H041
    async fn reloading_a_session_that_was_ended_is_a_typed_error(target) {
        let site = target.start("");
        for round in 0..20 {
            let a = site.visitor();
            a.post("/put?k=foo&v=bar").await.ok();
            let barrier = format!("r{round}");
            let uri = format!("/hold?b={barrier}&ops=reload");
            let (reply, ()) = tokio::join!(a.get(&uri), async {
                site.held(&barrier, 1).await;
                site.empty().await;
                site.release(&barrier).await;
            });
            assert_eq!(reply.error(), (410, "gone".into()));
        }
        assert_eq!(site.count().await, 0);
    }
}

cases_in_one_process! {
    /// H035
    async fn a_mebibyte_is_stored_whole(target) {
        let here = target.here().await;
        let router = Router::new()
            .route(
                "/",
                post(async |session: Session| session.set("x", mebibyte()).unwrap())
                    .get(async |session: Session| session.get::<String>("x").unwrap().unwrap()),
            )
            .layer(here.layer().build().unwrap());
        let server = serve(router).await;
        server.a.post("/").await.ok();
        assert!(server.a.get("/").await.ok().body == mebibyte());
    }
}

fn mebibyte() -> String {
    "0123456789abcdef".repeat(1 << 16)
}
