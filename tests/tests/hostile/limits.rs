//! Floods, slow clients, and sessions that are too large.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::routing::post;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use session_core::testkit::{Chaos, Counts};
use session_core::{
    ErrorKind, Exclusive, ManualClock, MemoryHandler, OsRandom, Policy, SessionId, SessionManager,
};
use session_http::{KeyRing, LazySession, RequestSessionExt, Session, SessionLayer};
use session_tests::{Client, Probe};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tower::ServiceExt;

use crate::site::{cookie, request, send, site, text};

const PROBE: &str = env!("CARGO_BIN_EXE_probe");

/// The resident memory of a process in bytes, and how many files it has open.
fn resources(process: u32) -> (u64, usize) {
    let pages = std::fs::read_to_string(format!("/proc/{process}/statm")).unwrap();
    let pages: u64 = pages.split(' ').nth(1).unwrap().parse().unwrap();
    let files = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap().count();
    (pages * rustix::param::page_size() as u64, files)
}

/// A probe on memory, and requests to it.
struct Flood {
    probe: Probe,
    client: Client,
}

impl Flood {
    fn new() -> Self {
        let probe = Probe::start(PROBE, &["--store", "memory:", "--max-bytes", "65536"]).unwrap();
        Self { probe, client: Client::default() }
    }

    async fn send(&self, method: Method, uri: &str, cookie: Option<&str>) -> session_tests::Reply {
        let mut request = Request::builder().method(method).uri(uri).header("host", "localhost");
        if let Some(cookie) = cookie {
            request = request.header("cookie", cookie);
        }
        let request = request.body(Bytes::new()).unwrap();
        self.client.send(self.probe.address(), request).await.unwrap()
    }

    /// Requests without a cookie that only look.
    async fn look(&self, times: usize) {
        for _ in 0..times {
            let reply = self.send(Method::GET, "/peek?k=x", None).await;
            assert!(reply.status.is_success() && !reply.headers.contains_key("set-cookie"));
        }
    }

    async fn stored(&self) -> u64 {
        let reply = self.send(Method::GET, "/ctl/count", None).await;
        reply.get("count").as_u64().unwrap()
    }
}

async fn flood(warm: usize, times: usize) {
    let flood = Flood::new();
    flood.look(warm).await;
    let (before, files) = resources(flood.probe.id());
    flood.look(times).await;
    let (after, files_after) = resources(flood.probe.id());
    assert_eq!(flood.stored().await, 0);
    assert_eq!(files, files_after);
    let grown = after.saturating_sub(before);
    assert!(grown < 1 << 20, "{grown} bytes more after {times} requests");
    println!("figure: {times} requests without a cookie: 0 records, {grown} bytes more");
}

#[tokio::test]
async fn a_flood_without_cookies_leaves_nothing_behind() {
    flood(3000, 10_000).await;
}

#[tokio::test]
#[ignore = "long: a million requests"]
async fn a_long_flood_without_cookies_leaves_nothing_behind() {
    flood(10_000, 1_000_000).await;
}

#[tokio::test]
async fn an_id_that_was_made_up_costs_one_read_and_none_when_cookies_are_signed() {
    let keys = KeyRing::new([(0..32).collect::<Vec<u8>>()]).unwrap();
    for (keys, reads) in [(None, 1), (Some(keys), 0)] {
        let (chaos, layer) = site();
        let layer = match keys {
            Some(keys) => layer.signed(keys),
            None => layer,
        };
        let layer = layer.build().unwrap();
        for _ in 0..2000 {
            let id = SessionId::generate(&OsRandom).unwrap();
            let made_up = request(format!("__Host-sid={}", id.expose()).as_bytes());
            let answer = send(&layer, made_up, async |request| {
                let keys = request.session().await.unwrap().keys().unwrap();
                text(keys.len().to_string())
            });
            let answer = answer.await;
            assert_eq!((answer.body().as_ref(), cookie(&answer)), (&b"0"[..], None));
            let counts = chaos.take_counts();
            let writes = counts.creates + counts.writes + counts.touches + counts.destroys;
            assert_eq!((counts.reads, writes), (reads, 0));
        }
    }
}

/// Nothing is remembered of ids that are not there.
#[tokio::test]
async fn a_flood_of_made_up_ids_leaves_nothing_behind() {
    let flood = Flood::new();
    let present = async |times: usize| {
        for _ in 0..times {
            let id = SessionId::generate(&OsRandom).unwrap();
            let cookie = format!("sid={}", id.expose());
            let reply = flood.send(Method::GET, "/peek?k=a", Some(&cookie)).await;
            assert!(reply.status.is_success());
        }
    };
    present(2000).await;
    let (before, files) = resources(flood.probe.id());
    present(5000).await;
    let (after, files_after) = resources(flood.probe.id());
    assert_eq!((flood.stored().await, files), (0, files_after));
    let grown = after.saturating_sub(before);
    assert!(grown < 1 << 20, "{grown} bytes more after 5,000 ids");
    println!("figure: 5000 made-up ids: 0 records, {grown} bytes more");
}

/// Each of a thousand requests at once comes to its end, counted or refused as it was told.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_requests_at_once_for_one_session_count_what_they_are_told() {
    let (chaos, layer) = site();
    let layer = layer.build().unwrap();
    let increment = async |request: Request<()>| {
        let session = request.session().await.unwrap();
        tokio::task::yield_now().await;
        text(session.increment("n", 1).unwrap().to_string())
    };
    let mine = cookie(&send(&layer, Request::new(()), increment).await).unwrap();
    let requests = (0..1000).map(|_| {
        let (layer, mine) = (layer.clone(), mine.clone());
        tokio::spawn(
            async move { send(&layer, request(mine.as_bytes()), increment).await.status() },
        )
    });
    let mut counted = 1;
    for status in requests.collect::<Vec<_>>() {
        counted += u64::from(status.await.unwrap() == StatusCode::OK);
    }
    let writes = chaos.take_counts().writes;
    let last = send(&layer, request(mine.as_bytes()), increment).await;
    assert_eq!(last.body(), &(counted + 1).to_string());
    println!("figure: 1000 requests at once for one session: {counted} counted, {writes} writes");
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_the_store_hears_of_it() {
    let (chaos, layer) = site();
    let layer = layer.build().unwrap();
    let mut policy = Policy::default();
    policy.max_bytes = 10_000;
    policy.max_keys = 10;
    let small = SessionManager::builder(chaos.clone()).policy(policy).build().unwrap();
    let small = SessionLayer::builder(small).build().unwrap();
    type Grow = fn(&Session);
    let grow: [Grow; 3] = [
        |session| session.set("long", "x".repeat(10_001)).unwrap(),
        |session| (0..11).for_each(|n| session.set(format!("{n}").as_str(), n).unwrap()),
        |session| {
            session
                .bind("x".repeat(200))
                .and_then(|()| session.set("a", "y".repeat(9_900)))
                .unwrap()
        },
    ];
    for grow in grow {
        let answer = send(&small, Request::new(()), async |request| {
            grow(&request.session().await.unwrap());
            text("done")
        });
        let answer = answer.await;
        assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(cookie(&answer), None);
    }
    let answer = send(&layer, Request::new(()), async |request| {
        request.session().await.unwrap().set("a long name".repeat(200).as_str(), 1).unwrap();
        text("done")
    });
    assert_eq!(answer.await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let counts = chaos.counts();
    assert_eq!((counts.creates, counts.writes, counts.bytes_written), (0, 0, 0));
}

/// An upload that stalls, to a handler that counts in the session of its client.
struct Upload {
    begun: Arc<Notify>,
    go_on: Arc<Notify>,
    status: JoinHandle<StatusCode>,
}

impl Upload {
    /// Sends the head of a request, and waits until the body is waited for.
    async fn stall(router: &Router, uri: &str, cookie: &str) -> Self {
        let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (asked, rest) = (Arc::clone(&begun), Arc::clone(&go_on));
        let body = Body::from_stream(futures_util::stream::once(async move {
            asked.notify_one();
            rest.notified().await;
            Ok::<_, Infallible>(Bytes::from("all of it"))
        }));
        let request = Request::post(uri).header("cookie", cookie).body(body).unwrap();
        let response = router.clone().oneshot(request);
        let status = tokio::spawn(async { response.await.unwrap().status() });
        let upload = Self { begun, go_on, status };
        upload.begun.notified().await;
        upload
    }

    async fn finish(self) -> StatusCode {
        self.go_on.notify_one();
        self.status.await.unwrap()
    }
}

fn count(session: &Session) -> String {
    session.increment("n", 1).unwrap().to_string()
}

/// An application whose sessions are locked while they are in use.
fn locking(clock: &ManualClock, lease: Duration) -> (Chaos, Router) {
    let chaos = Chaos::new(MemoryHandler::new().with_clock(Arc::new(clock.clone())));
    let mut policy = Policy::default();
    policy.exclusive = Some(Exclusive::new(Duration::from_millis(100), lease));
    let sessions = SessionManager::builder(chaos.clone()).policy(policy).clock(clock.clone());
    let layer = SessionLayer::builder(sessions.build().unwrap()).build().unwrap();
    let lazily = async |session: LazySession, _: Bytes| count(&session.load().await.unwrap());
    let at_once = async |session: Session, _: Bytes| count(&session);
    let router =
        Router::new().route("/lazily", post(lazily)).route("/at-once", post(at_once)).layer(layer);
    (chaos, router)
}

/// Counts, and returns what was counted or what went wrong, and the cookie.
async fn counted(router: &Router, cookie: &str) -> (StatusCode, Bytes, Option<String>) {
    let request = Request::post("/at-once").header("cookie", cookie).body(Body::empty()).unwrap();
    let (head, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    let field = head.headers.get("set-cookie").map(|field| field.to_str().unwrap());
    let cookie = field.map(|field| field.split(';').next().unwrap().to_owned());
    (head.status, body.collect().await.unwrap().to_bytes(), cookie)
}

#[tokio::test]
async fn a_slow_body_holds_neither_lock_nor_store() {
    let (chaos, router) = locking(&ManualClock::new(), Duration::from_secs(60));
    let mine = counted(&router, "").await.2.unwrap();
    chaos.take_counts();
    let slow = Upload::stall(&router, "/lazily", &mine).await;
    assert_eq!(chaos.take_counts(), Counts::default(), "the store was not called");
    assert_eq!(counted(&router, &mine).await.1, "2", "nobody waits for the upload");
    assert_eq!(slow.finish().await, StatusCode::OK);
    assert_eq!(counted(&router, &mine).await.1, "4");
}

/// Who takes the session beside the body has it locked from the head of the request on.
#[tokio::test]
async fn a_slow_body_beside_a_locked_session_holds_others_up_for_the_lease_at_the_most() {
    let (clock, lease) = (ManualClock::new(), Duration::from_secs(60));
    let (_, router) = locking(&clock, lease);
    let mine = counted(&router, "").await.2.unwrap();
    let slow = Upload::stall(&router, "/at-once", &mine).await;
    let (status, text, _) = counted(&router, &mine).await;
    assert!(status.is_server_error() || status.is_client_error(), "{status}");
    assert_eq!(text, "session: locked\n");
    clock.advance(lease + Duration::from_secs(1));
    assert_eq!(counted(&router, &mine).await.1, "2", "the lock has fallen free");
    assert!(!slow.finish().await.is_success(), "who comes back too late is refused");
    assert_eq!(counted(&router, &mine).await.1, "3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_users_see_only_their_own() {
    let (chaos, layer) = site();
    let layer = layer.build().unwrap();
    let users = (0..64).map(|user| {
        let layer = layer.clone();
        tokio::spawn(async move {
            let tag = format!("user {user}");
            let answer = send(&layer, Request::new(()), async |request| {
                request.session().await.unwrap().set("tag", &tag).unwrap();
                text("")
            });
            let mine = cookie(&answer.await).unwrap();
            for number in 1..=300 {
                let answer = send(&layer, request(mine.as_bytes()), async |request| {
                    let session = request.session().await.unwrap();
                    let count = session.increment("count", 1).unwrap();
                    let tag: String = session.get("tag").unwrap().unwrap();
                    text(format!("{tag} {count}"))
                });
                assert_eq!(answer.await.body(), &format!("{tag} {number}"));
            }
            mine
        })
    });
    let mut cookies = std::collections::BTreeSet::new();
    for user in users.collect::<Vec<_>>() {
        cookies.insert(user.await.unwrap());
    }
    assert_eq!((cookies.len(), chaos.counts().creates), (64, 64));
}

/// Who asks for what a row of the scenarios leaves out is told that there is no such thing.
#[tokio::test]
async fn what_is_not_offered_is_no_setting() {
    let registry = session_http::registry();
    for option in ["encrypt=1", "encryption_key=00", "compress=zstd", "serializer=php"] {
        for store in ["memory:", "file:///tmp/s", "redis://h/0", "mysql://h/db", "mongodb://h/db"] {
            let err = registry.connect(&format!("{store}?session.{option}")).await.unwrap_err();
            assert_eq!(err.kind(), ErrorKind::InvalidConfig, "{store} with {option}: {err}");
        }
    }
    let err = registry.connect("cookie:").await.unwrap_err();
    assert!(matches!(err.kind(), ErrorKind::InvalidConfig | ErrorKind::Unsupported), "{err}");
}

/// Mixed load for as long as `SESSION_SOAK_SECONDS` says, ten minutes unless it does.
#[tokio::test]
#[ignore = "long: minutes of load"]
async fn hours_of_load_leave_memory_and_descriptors_as_they_were() {
    let seconds = std::env::var("SESSION_SOAK_SECONDS");
    let seconds = seconds.map_or(600, |text| text.parse().unwrap());
    let flood = Flood::new();
    let mut requests = 0_u64;
    let visit = async || {
        let reply = flood.send(Method::POST, "/put?k=a&v=1", None).await;
        let field = reply.headers["set-cookie"].to_str().unwrap().to_owned();
        let mine = field.split(';').next().unwrap();
        for uri in ["/peek?k=a", "/noop"] {
            flood.send(Method::GET, uri, Some(mine)).await;
        }
        flood.send(Method::POST, "/rotate", Some(mine)).await;
        let gone = flood.send(Method::POST, "/incr?k=n", Some(mine)).await;
        drop(gone);
        flood.send(Method::POST, "/ctl/gc", None).await;
        6
    };
    let begin = Instant::now();
    while begin.elapsed().as_secs() < seconds / 4 {
        requests += visit().await;
    }
    let (before, files) = resources(flood.probe.id());
    while begin.elapsed().as_secs() < seconds {
        requests += visit().await;
    }
    let (after, files_after) = resources(flood.probe.id());
    println!(
        "figure: {requests} requests in {seconds} s: memory {before} and {after} bytes, \
         descriptors {files} and {files_after}"
    );
    assert!(files_after <= files + 2);
    assert!(after < before + (4 << 20), "{before} bytes have become {after}");
}
