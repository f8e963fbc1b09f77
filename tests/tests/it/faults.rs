//! Faults of the store.

use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::post;
use bytes::Bytes;
use http::Response;
use serde_json::Value;
use session_core::{
    ErrorKind, Event, Observer, Operation, PageRequest, Serializers, SessionHandler, SessionKey,
    WriteMode, WriteOptions,
};
use session_http::{Session, SessionLayer};

use crate::in_process::{Here, Times, cookie, serve};

cases! {
    /// H220
    async fn a_store_that_cannot_be_read_is_no_empty_session(target) {
        let site = target.start("").visited().await;
        site.fault("errget").await;
        let reply = site.a.post("/put?k=foo&v=lost").await;
        assert_eq!((reply.error(), reply.cookie()), ((503, "unavailable".into()), None));
        site.fault("up").await;
        assert_eq!(site.a.get("/peek?k=foo").await.v(), "bar");
    }

    /// H224
    async fn a_write_that_fails_is_no_success(target) {
        let site = target.start("").visited().await;
        site.fault("errset").await;
        for a in [&site.a, &site.visitor()] {
            let reply = a.post("/put?k=foo&v=new").await;
            assert_eq!((reply.error(), reply.cookie()), ((503, "unavailable".into()), None));
        }
        site.fault("up").await;
        assert_eq!(site.a.get("/peek?k=foo").await.v(), "bar");
        assert_eq!(site.count().await, 1);
    }

    /// H226
    async fn a_touch_that_fails_does_not_disturb_the_request(target) {
        let site = target.start_with_clock("").visited().await;
        site.events().await;
        site.fault("errtouch").await;
        site.advance(Duration::from_secs(1)).await;
        assert_eq!(site.a.get("/peek?k=foo").await.v(), "bar");
        assert_eq!(site.events().await, (1, 0));
    }

    /// H227
    async fn a_logout_that_fails_is_an_error_and_takes_the_cookie_all_the_same(target) {
        let site = target.start("").visited().await;
        let old = site.a.copy();
        site.fault("errdel").await;
        let reply = site.a.post("/destroy").await;
        assert_eq!(reply.error(), (503, "unavailable".into()));
        assert!(reply.removes_cookie());
        assert_eq!(old.get("/peek?k=foo").await.v(), "bar");
        site.fault("up").await;
        assert!(old.post("/destroy").await.ok().removes_cookie());
        assert_eq!(site.count().await, 0);
    }

    /// H228
    async fn the_first_request_after_an_outage_finds_the_session(target) {
        let site = target.start("").visited().await;
        site.fault("down").await;
        for uri in ["/put?k=foo&v=lost", "/rotate", "/destroy", "/incr?k=n"] {
            let reply = site.a.post(uri).await;
            assert_eq!((reply.error(), reply.cookie()), ((503, "unavailable".into()), None));
        }
        site.fault("up").await;
        assert_eq!(site.a.get("/peek?k=foo").await.v(), "bar");
    }

    /// H229
    async fn a_store_that_hangs_holds_nobody_up_beyond_the_deadline(target) {
        let site = target.start("--deadline 2000").visited().await;
        site.fault("slow:60000").await;
        let began = Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..200 {
            let a = site.a.clone();
            tasks.spawn(async move { a.get("/peek?k=foo").await });
        }
        for reply in tasks.join_all().await {
            assert_eq!(reply.error(), (503, "timeout".into()));
        }
        // Alone each takes two seconds. Leaves room for a busy machine.
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
        site.fault("up").await;
        assert_eq!(site.a.get("/peek?k=foo").await.v(), "bar");
    }

    /// H235
    async fn a_session_that_was_opened_without_its_store_refuses_changes(target) {
        let site = target.start("--on-store-error anonymous").visited().await;
        site.fault("down").await;
        let reply = site.a.get("/peek?k=foo").await;
        assert_eq!((reply.v(), reply.get("status")), (Value::Null, "degraded".into()));
        assert_eq!(reply.cookie(), None);
        let reply = site.a.post("/do?ops=put:foo:new,peek:foo").await;
        assert_eq!((reply.error(), reply.cookie()), ((503, "degraded".into()), None));
        site.fault("up").await;
        assert_eq!(site.a.get("/peek?k=foo").await.v(), "bar");
    }
}

cases_in_one_process! {
    /// H222
    async fn what_was_seen_lately_is_shown_during_an_outage(target) {
        let site = target.start_with_clock("--on-store-error stale:30").visited().await;
        site.a.get("/peek").await.ok();
        site.fault("down").await;
        site.advance(Duration::from_secs(29)).await;
        let reply = site.a.get("/peek?k=foo").await;
        assert_eq!((reply.v(), reply.get("status")), ("bar".into(), "degraded".into()));
        assert_eq!(site.a.post("/put?k=foo&v=new").await.error(), (503, "degraded".into()));
        site.advance(Duration::from_secs(2)).await;
        assert_eq!(site.a.get("/peek?k=foo").await.error(), (503, "unavailable".into()));
    }

    /// H223
    async fn a_record_that_was_removed_behind_the_application_is_absent(target) {
        let site = target.start("").visited().await;
        let old = site.a.sid();
        // What the file engine then meets is the system's "no such file".
        let removed = remove_records(&site.directory());
        if removed == 0 {
            site.empty().await;
        }
        let reply = site.a.get("/peek?k=foo").await;
        assert_eq!((reply.v(), reply.get("status")), (Value::Null, "unknown".into()));
        site.a.post("/put?k=foo&v=new").await.ok();
        assert_ne!(site.a.sid(), old);
    }

    /// H224: the hook
    async fn the_error_response_is_made_once(target) {
        let here = target.here().await;
        let times = Times::default();
        let seen = times.clone();
        let layer = here.layer().error_response(move |err| {
            assert_eq!(err.kind(), ErrorKind::StorageFull);
            seen.once_more();
            let mut response = Response::new(Bytes::from_static(b"later"));
            *response.status_mut() = http::StatusCode::INSUFFICIENT_STORAGE;
            response
        });
        let server = serve(counter(layer.build().unwrap())).await;
        here.chaos.fail(Operation::Create, ErrorKind::StorageFull);
        let reply = server.a.post("/").await;
        assert_eq!((reply.status.as_u16(), reply.cookie()), (507, None));
        assert_eq!(reply.body, "later");
        assert_eq!(times.count(), 1);
    }

    /// H230
    async fn a_damaged_record_is_absent_and_stays(target) {
        for damage in [
            |payload: &[u8]| payload[..payload.len() / 2].to_vec(),
            |payload: &[u8]| payload[..payload.len() - 1].to_vec(),
            |payload: &[u8]| payload.iter().map(|byte| byte ^ 0xA5).collect(),
            |payload: &[u8]| payload.iter().rev().copied().collect(),
            |_: &[u8]| Vec::new(),
        ] {
            let here = target.here().await;
            let damages = Damages::default();
            let sessions = here.manager().observer(damages.clone()).build().unwrap();
            let layer = SessionLayer::builder(sessions).cookie(cookie()).build().unwrap();
            let server = serve(counter(layer)).await;
            server.a.post("/").await.ok();
            let (key, payload) = only_record(&here).await;
            let damaged = Bytes::from(damage(&payload));
            replace(&here, &key, damaged.clone()).await;
            let old = server.a.sid();
            for _ in 0..3 {
                assert_eq!(server.a.copy().post("/").await.ok().body, "1");
            }
            assert_eq!(server.a.post("/").await.ok().body, "1");
            assert_ne!(server.a.sid(), old);
            assert_eq!(here.chaos.read(&key).await.unwrap().unwrap().payload, damaged);
            assert_eq!(damages.0.count(), 4);
        }
    }

    /// H231
    async fn a_record_of_a_later_version_is_absent_and_stays(target) {
        let here = target.here().await;
        let server = serve(counter(here.layer().build().unwrap())).await;
        server.a.post("/").await.ok();
        let (key, payload) = only_record(&here).await;
        // Wherever the version is in the head, a later one is not understood.
        for at in 0..4 {
            let mut later = payload.to_vec();
            later[at] = later[at].wrapping_add(1);
            replace(&here, &key, later.clone().into()).await;
            assert_eq!(server.a.copy().post("/").await.ok().body, "1");
            assert_eq!(here.chaos.read(&key).await.unwrap().unwrap().payload, later);
        }
        replace(&here, &key, payload).await;
        assert_eq!(server.a.post("/").await.ok().body, "2");
    }

    /// H232
    async fn a_record_of_the_previous_serializer_is_read_and_written_with_the_new_one(target) {
        let here = target.here().await;
        let app = async |serializer: &str| {
            let serializers = Serializers::by_name(serializer).unwrap();
            let sessions = here.manager().serializers(serializers).build().unwrap();
            let layer = SessionLayer::builder(sessions).cookie(cookie()).build();
            serve(counter(layer.unwrap())).await
        };
        let old = app("json").await;
        old.a.post("/").await.ok();
        let before = only_record(&here).await.1;
        let new = app("msgpack").await;
        let sid = old.a.sid().unwrap();
        let a = new.a.clone().with_header("cookie", format!("sid={sid}"));
        assert_eq!(a.post("/").await.ok().body, "2");
        let after = only_record(&here).await.1;
        let names = |payload: &[u8], name: &str| {
            payload.windows(name.len()).any(|part| part == name.as_bytes())
        };
        assert!(names(&before, "json") && !names(&before, "msgpack"));
        assert!(names(&after, "msgpack") && !names(&after, "json"));
    }
}

/// Counts the records that did not verify.
#[derive(Clone, Debug, Default)]
struct Damages(Times);

impl Observer for Damages {
    fn observe(&self, event: &Event<'_>) {
        if matches!(event, Event::Damaged(_)) {
            self.0.once_more();
        }
    }
}

fn counter(layer: SessionLayer) -> Router {
    let count = async |session: Session| session.increment("n", 1).unwrap().to_string();
    Router::new().route("/", post(count)).layer(layer)
}

async fn only_record(here: &Here) -> (SessionKey, Bytes) {
    let lister = here.chaos.lister().unwrap();
    let page = lister.list(&PageRequest::first(2)).await.unwrap();
    assert_eq!(page.items.len(), 1);
    let key = page.items[0].key;
    (key, here.chaos.read(&key).await.unwrap().unwrap().payload)
}

async fn replace(here: &Here, key: &SessionKey, payload: Bytes) {
    let options = WriteOptions::new(WriteMode::Replace, Duration::from_secs(600));
    here.chaos.write(key, payload, &options).await.unwrap();
}

/// Removes all files with a session's name and returns how many there were.
fn remove_records(directory: &std::path::Path) -> usize {
    let Ok(entries) = std::fs::read_dir(directory) else { return 0 };
    let mut removed = 0;
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            removed += remove_records(&path);
        } else if path.file_name().is_some_and(|name| name.len() == 64) {
            std::fs::remove_file(path).unwrap();
            removed += 1;
        }
    }
    removed
}
