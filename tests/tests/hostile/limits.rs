//! Floods, slow clients, and sessions that are too large.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use session_core::testkit::Chaos;
use session_core::{Exclusive, MemoryHandler, OsRandom, Policy, SessionId, SessionManager};
use session_http::{KeyRing, RequestSessionExt, SessionLayer};
use session_tests::{Client, Probe};
use tower::{Layer, ServiceExt, service_fn};

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

#[tokio::test]
async fn what_is_too_large_is_refused_before_the_store_hears_of_it() {
    let (chaos, layer) = site();
    let layer = layer.build().unwrap();
    let mut policy = Policy::default();
    policy.max_bytes = 10_000;
    policy.max_keys = 10;
    let small = SessionManager::builder(chaos.clone()).policy(policy).build().unwrap();
    let small = SessionLayer::builder(small).build().unwrap();
    type Grow = fn(&session_http::Session);
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

/// A body that waits at a barrier.
struct Upload {
    begun: tokio::sync::Notify,
    go_on: tokio::sync::Notify,
}

/// A handler that reads the body before it asks for the session.
#[tokio::test]
async fn a_slow_body_holds_neither_lock_nor_store() {
    let chaos = Chaos::new(MemoryHandler::new());
    let mut policy = Policy::default();
    policy.exclusive = Some(Exclusive::new(Duration::from_secs(5), Duration::from_secs(60)));
    let sessions = SessionManager::builder(chaos.clone()).policy(policy).build().unwrap();
    let layer = SessionLayer::builder(sessions).build().unwrap();
    let count = async |request: Request<()>| {
        text(request.session().await.unwrap().increment("n", 1).unwrap().to_string())
    };
    let first = send(&layer, Request::new(()), count).await;
    let mine = cookie(&first).unwrap();

    let upload =
        Arc::new(Upload { begun: tokio::sync::Notify::new(), go_on: tokio::sync::Notify::new() });
    let body = Arc::clone(&upload);
    let slow = layer.layer(service_fn(move |request: Request<()>| {
        let body = Arc::clone(&body);
        async move {
            body.begun.notify_one();
            body.go_on.notified().await;
            Ok::<_, Infallible>(count(request).await)
        }
    }));
    let slow = tokio::spawn(slow.oneshot(request(mine.as_bytes())));
    upload.begun.notified().await;
    chaos.take_counts();
    let second = send(&layer, request(mine.as_bytes()), count).await;
    assert_eq!(second.body().as_ref(), b"2", "nobody waits for the upload");
    upload.go_on.notify_one();
    assert_eq!(slow.await.unwrap().unwrap().status(), StatusCode::OK);
    let third = send(&layer, request(mine.as_bytes()), count).await;
    assert_eq!(third.body().as_ref(), b"4");
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
}
