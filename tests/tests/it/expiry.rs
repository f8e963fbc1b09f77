//! Expiry and garbage collection.

use std::time::Duration;

use serde_json::Value;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

cases! {
    /// H140
    async fn a_session_ends_at_its_absolute_deadline(target) {
        let site = target.start_with_clock("--absolute 30").visited().await;
        assert_eq!(site.a.get("/peek?k=foo").await.v(), "bar");
        site.advance(secs(60)).await;
        assert_eq!(site.a.get("/peek?k=foo").await.v(), Value::Null);
    }

    /// H141
    async fn a_session_ends_when_it_is_not_used(target) {
        let site = target.start_with_clock("--idle 40 --absolute 200").visited().await;
        site.advance(secs(20)).await;
        assert_eq!(site.a.get("/peek?k=foo").await.v(), "bar");
        site.advance(secs(30)).await;
        assert_eq!(site.a.get("/peek?k=foo").await.v(), "bar");
        site.advance(secs(50)).await;
        assert_eq!(site.a.get("/peek?k=foo").await.v(), Value::Null);
    }

    /// H142
    async fn use_does_not_move_the_absolute_deadline(target) {
        let site = target.start_with_clock("--idle 600 --absolute 3000").visited().await;
        for _ in 0..9 {
            site.advance(secs(300)).await;
            assert_eq!(site.a.get("/peek?k=foo").await.v(), "bar");
        }
        site.advance(secs(270)).await;
        assert_eq!(site.a.get("/peek?k=foo").await.v(), "bar");
        site.advance(secs(30)).await;
        assert_eq!(site.a.get("/peek?k=foo").await.v(), Value::Null);
    }

    /// H143
    async fn after_its_end_a_visitor_gets_a_new_id(target) {
        let site = target.start_with_clock("").visited().await;
        let old = site.a.sid();
        site.advance(secs(61)).await;
        site.a.post("/put?k=new&v=1").await.ok();
        assert_ne!(site.a.sid(), old);
        assert_eq!(site.a.get("/peek").await.get("keys"), serde_json::json!(["new"]));
        assert_eq!(site.count().await, 1);
    }

    /// H145
    async fn garbage_collection_takes_the_dead_and_spares_the_living(target) {
        let site = target.start_with_clock("--idle 600");
        let live = [site.visitor(), site.visitor()];
        for a in &live {
            a.post("/put?k=a&v=1").await.ok();
        }
        for _ in 0..3 {
            let a = site.visitor();
            a.post("/put?k=a&v=1").await.ok();
            a.post("/life?idle=100").await.ok();
        }
        assert_eq!(site.gc().await, 0);
        site.advance(secs(110)).await;
        assert_eq!(site.count().await, 2);
        assert_eq!(site.gc().await, if target.expires_by_itself() { 0 } else { 3 });
        assert_eq!(site.gc().await, 0);
        for a in &live {
            assert_eq!(a.get("/peek?k=a").await.v(), "1");
        }
    }

    /// H146
    async fn a_session_without_an_end_is_there_after_a_year(target) {
        let site = target.start_with_clock("").visited().await;
        site.a.post("/life?idle=never&abs=never").await.ok();
        site.advance(secs(366 * 24 * 3600)).await;
        assert_eq!(site.gc().await, 0);
        assert_eq!(site.a.get("/peek?k=foo").await.v(), "bar");
    }

    /// H147
    async fn garbage_collection_knows_the_lifetime_of_each_session(target) {
        let site = target.start_with_clock("--absolute 5000");
        let (short, long) = (site.visitor(), site.visitor());
        for (a, idle) in [(&short, 10), (&long, 2000)] {
            a.post("/put?k=a&v=1").await.ok();
            a.post(&format!("/life?idle={idle}")).await.ok();
        }
        let removed = u64::from(!target.expires_by_itself());
        site.advance(secs(1900)).await;
        assert_eq!(site.gc().await, removed);
        assert_eq!(short.get("/peek?k=a").await.v(), Value::Null);
        assert_eq!(long.get("/peek?k=a").await.v(), "1");
        site.advance(secs(2001)).await;
        assert_eq!(site.gc().await, removed);
        assert_eq!(site.count().await, 0);
    }

    /// H148
    async fn a_read_extends_the_lifetime_without_writing_the_data(target) {
        let site = target.start_with_clock("--idle 600 --absolute 6000").visited().await;
        site.advance(secs(200)).await;
        assert!(site.expires_in().await <= 400.1);
        site.ops().await;
        site.a.get("/peek?k=foo").await.ok();
        let ops = site.ops().await;
        assert_eq!((ops.reads, ops.touches, ops.updates, ops.bytes), (1, 1, 0, 0));
        assert!(site.expires_in().await >= 540.0);
    }

    /// H150
    async fn a_throttled_touch_ends_a_session_early_by_no_more_than_the_throttle(target) {
        let site = target.start_with_clock("--throttle 300 --idle 600 --absolute 6000").visited().await;
        site.advance(secs(240)).await;
        assert_eq!(site.a.get("/peek?k=foo").await.v(), "bar");
        assert_eq!(site.ops().await.touches, 0);
        // 300 s after the last use it lives, 600 s after it does not.
        site.advance(secs(300)).await;
        assert_eq!(site.count().await, 1);
        site.advance(secs(300)).await;
        assert_eq!(site.a.get("/peek?k=foo").await.v(), Value::Null);
    }

    /// H153
    async fn a_cookie_until_the_browser_closes_has_an_idle_lifetime_all_the_same(target) {
        let site = target.start_with_clock("--persist --idle 600 --absolute 6000").visited().await;
        assert_eq!(site.a.post("/life?persist=0").await.attribute("Max-Age"), None);
        site.advance(secs(540)).await;
        assert_eq!(site.a.get("/peek?k=foo").await.v(), "bar");
        site.advance(secs(601)).await;
        assert_eq!(site.a.get("/peek?k=foo").await.v(), Value::Null);
    }

    /// H154
    async fn a_session_can_go_back_to_the_policy(target) {
        let site = target.start_with_clock("--persist --idle 600 --absolute 6000").visited().await;
        site.a.post("/life?persist=0&idle=100").await.ok();
        let reply = site.a.post("/life?persist=default&idle=default").await;
        assert!(reply.attribute("Max-Age").is_some());
        site.advance(secs(540)).await;
        assert_eq!(site.a.get("/peek?k=foo").await.v(), "bar");
    }

    /// H156
    async fn an_explicit_touch_is_not_throttled(target) {
        let site = target.start_with_clock("--throttle 30").visited().await;
        site.advance(secs(20)).await;
        let before = site.expires_in().await;
        site.a.post("/do?ops=touch").await.ok();
        let after = site.expires_in().await;
        assert!(after > before + 5.0, "{before} {after}");
    }

    /// H157
    async fn a_lifetime_of_nothing_ends_the_session(target) {
        for life in ["idle=0", "abs=0"] {
            let site = target.start("").visited().await;
            let old = site.a.copy();
            let reply = site.a.post(&format!("/life?{life}")).await;
            assert!(reply.ok().removes_cookie());
            assert_eq!(site.count().await, 0);
            assert_eq!(old.get("/peek?k=foo").await.v(), Value::Null);
        }
    }

    /// H159
    async fn a_session_that_expires_during_a_request_is_no_server_error(target) {
        let site = target.start_with_clock("").visited().await;
        let (reader, writer) = (site.a.clone(), site.a.copy());
        let read = reader.get("/hold?b=r&ops=peek:foo");
        let write = writer.post("/hold?b=r&ops=put:x:1");
        let (read, write, ()) = tokio::join!(read, write, async {
            site.held("r", 2).await;
            site.advance(secs(61)).await;
            site.release("r").await;
        });
        assert_eq!(read.get("out")[0], "bar");
        assert_eq!(write.error(), (410, "gone".into()));
        assert_eq!(site.a.get("/peek?k=foo").await.v(), Value::Null);
        assert_eq!(site.count().await, 0);
    }

    /// H161
    async fn garbage_collection_does_not_wait_for_a_locked_request(target) {
        let args = "--lock-wait 5 --lock-lease 600 --absolute 6000";
        let site = target.start_with_clock(args).visited().await;
        let held = site.a.get("/hold?b=r&ops=peek:foo");
        let (reply, ()) = tokio::join!(held, async {
            site.held("r", 1).await;
            site.advance(secs(61)).await;
            assert!(site.gc().await <= 1);
            site.release("r").await;
        });
        assert_eq!(reply.get("out")[0], "bar");
        assert_eq!(site.a.get("/peek?k=foo").await.v(), Value::Null);
    }
}

cases_in_two_processes! {
    /// H160
    async fn clocks_that_differ_cost_no_more_than_they_differ(target) {
        let site = target.start_with_clock("--idle 600 --absolute 6000").visited().await;
        let (behind, ahead) = (site.a.on(0), site.a.on(1));
        site.advance_node(1, secs(50)).await;
        behind.get("/peek").await.ok();
        site.advance(secs(480)).await;
        assert_eq!(ahead.get("/peek?k=foo").await.v(), "bar");
        assert_eq!(behind.get("/peek?k=foo").await.v(), "bar");
        // Neither reading nor writing by the one behind brings it back.
        site.advance(secs(660)).await;
        assert_eq!(ahead.get("/peek?k=foo").await.v(), Value::Null);
        assert_eq!(behind.get("/peek?k=foo").await.v(), Value::Null);
    }
}
