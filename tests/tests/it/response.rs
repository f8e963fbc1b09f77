//! What happens to the session while the response leaves.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use bytes::Bytes;
use futures_util::stream;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE};
use http::{Method, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use session_http::{RequestSessionExt, Session};
use session_tests::Client;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::in_process::serve;
use crate::target::often;

cases! {
    /// H170
    async fn who_follows_a_redirect_at_once_sees_what_was_saved(target) {
        let site = target.start("").visited().await;
        for round in 0..often(1000) {
            let uri = format!("/status?code=302&ops=put:n:{round}");
            let request = site.a.request(Method::GET, &uri);
            let head = Client::send_alone(site.a.next_server(), request).await.unwrap();
            assert_eq!(head.status(), StatusCode::FOUND);
            let request = site.a.request(Method::GET, "/peek?k=n");
            let next = Client::send_alone(site.a.next_server(), request).await.unwrap();
            let body = http_body_util::BodyExt::collect(next.into_body()).await.unwrap().to_bytes();
            let json: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(json["v"], round.to_string());
        }
    }

    /// H174
    async fn a_stream_cannot_begin_a_session_and_is_told_so(target) {
        let site = target.start("");
        let reply = site.visitor().get("/stream?ops=put:x:1").await;
        assert_eq!(reply.get("error"), "late");
        assert_eq!(reply.cookie(), None);
        assert_eq!(site.count().await, 0);
    }

    /// H175
    async fn what_a_stream_changes_is_saved_before_it_ends(target) {
        let site = target.start("").visited().await;
        assert_eq!(site.a.get("/stream?ops=put:x:1").await.get("out")[0], "1");
        assert_eq!(site.a.get("/peek?k=x").await.v(), "1");
        // A new id could not reach the client.
        assert_eq!(site.a.get("/stream?ops=rotate").await.get("error"), "late");
        assert_eq!(site.a.get("/peek?k=foo").await.v(), "bar");
    }

    /// H177
    async fn server_errors_save_nothing_unless_they_are_to(target) {
        let site = target.start("").visited().await;
        let reply = site.a.get("/status?code=500&ops=put:x:1").await;
        assert_eq!((reply.status.as_u16(), reply.cookie()), (500, None));
        assert_eq!(site.a.get("/peek?k=x").await.v(), Value::Null);
        assert_eq!(site.visitor().get("/status?code=500&ops=put:x:1").await.cookie(), None);
        assert_eq!(site.count().await, 1);
        let site = target.start("--save-on-5xx");
        let a = site.visitor();
        assert!(a.get("/status?code=500&ops=put:x:1").await.cookie().is_some());
        assert_eq!(a.get("/peek?k=x").await.v(), "1");
    }

    /// Acceptance 64
    async fn client_errors_save(target) {
        let site = target.start("").visited().await;
        assert_eq!(site.a.get("/status?code=401&ops=put:x:1").await.status.as_u16(), 401);
        assert_eq!(site.a.get("/peek?k=x").await.v(), "1");
    }

    /// A logout stays one, whatever becomes of the rest of its request.
    async fn a_failed_request_still_ends_the_session_it_ended(target) {
        let site = target.start("").visited().await;
        let old = site.a.copy();
        let reply = site.a.get("/status?code=500&ops=put:x:1,destroy").await;
        assert!(reply.removes_cookie());
        assert_eq!(old.get("/peek?k=foo").await.v(), Value::Null);
        let site = target.start("").visited().await;
        assert_eq!(site.a.get("/panic?ops=put:x:1,destroy").await.status.as_u16(), 500);
        while site.count().await > 0 {
            tokio::task::yield_now().await;
        }
    }

    /// H178
    async fn a_panic_saves_nothing_and_frees_the_lock(target) {
        let site = target.start("--lock-wait 60 --lock-lease 600").visited().await;
        let error = site.a.get("/panic?ops=put:x:1").await.error();
        assert_eq!(error, (500, "internal".into()));
        let began = std::time::Instant::now();
        assert_eq!(site.a.get("/peek?k=x").await.v(), Value::Null);
        // The wait for a lock that nobody frees is a minute.
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
        site.a.post("/put?k=x&v=1").await.ok();
    }

    /// H179
    async fn a_client_that_hangs_up_leaves_all_or_nothing_and_no_lock(target) {
        let site = target.start("--lock-wait 60 --lock-lease 600").visited().await;
        for round in 0..10 {
            let barrier = format!("r{round}");
            let uri = format!("/hold?b={barrier}&ops=put:a:{round},put:b:{round}");
            let mut stream = TcpStream::connect(site.a.next_server()).await.unwrap();
            let sid = site.a.sid().unwrap();
            let request = format!("POST {uri} HTTP/1.1\r\nhost: x\r\ncookie: sid={sid}\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            site.held(&barrier, 1).await;
            drop(stream);
            site.release(&barrier).await;
            let all = site.a.get("/peek").await.get("all");
            assert_eq!(all["a"], all["b"]);
        }
        site.a.post("/put?k=x&v=1").await.ok();
        assert_eq!(site.count().await, 1);
    }
}

cases_in_one_process! {
    /// H171
    async fn the_body_is_what_the_handler_made_and_the_session_is_saved_before_it_ends(target) {
        /// Counts, and goes on with the response.
        async fn count<R>(session: Session, response: R) -> R {
            session.increment("n", 1).unwrap();
            response
        }
        let chunks = || Body::from_stream(stream::iter([Ok::<_, std::io::Error>("ab"), Ok("cd")]));
        let empty = ([(CONTENT_LENGTH, "0")], "");
        let known = ([(CONTENT_LENGTH, "4")], "abcd");
        let here = target.here().await;
        let router = Router::new()
            .route("/empty", any(async move |s: Session| count(s, empty).await))
            .route("/known", any(async move |s: Session| count(s, known).await))
            .route("/chunks", any(async move |s: Session| count(s, chunks()).await))
            .route("/204", any(async |s: Session| count(s, StatusCode::NO_CONTENT).await))
            .route("/304", any(async |s: Session| count(s, StatusCode::NOT_MODIFIED).await))
            .route("/n", get(async |s: Session| s.get::<i64>("n").unwrap().unwrap().to_string()))
            .layer(here.layer().build().unwrap());
        let server = serve(router).await;
        let cases = [
            (Method::GET, "/empty", "", Some("0")),
            (Method::GET, "/known", "abcd", Some("4")),
            (Method::HEAD, "/known", "", Some("4")),
            (Method::GET, "/chunks", "abcd", None),
            (Method::GET, "/204", "", None),
            (Method::GET, "/304", "", None),
        ];
        for (round, (method, uri, body, length)) in (1..).zip(cases) {
            let reply = server.a.send(method, uri).await;
            let sent = reply.headers.get(CONTENT_LENGTH).map(|field| field.to_str().unwrap());
            assert_eq!((&*reply.body, sent), (body.as_bytes(), length), "{uri}");
            assert_eq!(reply.headers.contains_key(TRANSFER_ENCODING), uri == "/chunks");
            assert_eq!(server.a.get("/n").await.body, round.to_string());
        }
    }

    /// H176
    async fn a_connection_is_upgraded_through_the_layer(target) {
        async fn shake(mut request: Request) -> Response {
            let session = request.session().await.unwrap();
            let user: String = session.get("user").unwrap().unwrap();
            let upgrade = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let mut stream = TokioIo::new(upgrade.await.unwrap());
                stream.write_all(format!("hello {user}").as_bytes()).await.unwrap();
            });
            let headers = [(CONNECTION, "upgrade"), (UPGRADE, "greeting")];
            (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
        }
        let here = target.here().await;
        let router = Router::new()
            .route("/login", post(async |s: Session| s.set("user", "ann").unwrap()))
            .route("/shake", get(shake))
            .layer(here.layer().build().unwrap());
        let server = serve(router).await;
        server.a.post("/login").await.ok();
        let mut stream = TcpStream::connect(server.a.next_server()).await.unwrap();
        let request = format!(
            "GET /shake HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: greeting\r\n\
             cookie: sid={}\r\n\r\n",
            server.a.sid().unwrap()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        assert!(text.starts_with("HTTP/1.1 101 ") && text.ends_with("\r\n\r\nhello ann"), "{text}");
    }

    /// H180
    async fn an_outer_layer_that_replaces_the_response_does_not_disturb_the_save(target) {
        let here = target.here().await;
        let router = Router::new()
            .route("/", post(async |s: Session| {
                s.set("a", 1).unwrap();
                StatusCode::NOT_FOUND
            }))
            .layer(here.layer().build().unwrap())
            .layer(axum::middleware::map_response(async |response: Response| {
                let (head, _) = response.into_parts();
                Response::from_parts(head, Body::from("our own page"))
            }));
        let server = serve(router).await;
        let reply = server.a.post("/").await;
        assert_eq!((reply.status.as_u16(), &*reply.body), (404, &b"our own page"[..]));
        assert!(reply.cookie().is_some());
        let counts = here.chaos.counts();
        assert_eq!((counts.creates, counts.writes), (1, 0));
    }

    /// H181
    async fn a_route_outside_of_the_layer_is_told_that_it_has_no_session(target) {
        let here = target.here().await;
        let router = Router::new()
            .route("/in", post(async |_: Session| ()))
            .layer(here.layer().build().unwrap())
            .route("/out", post(async |_: Session| ()));
        let server = serve(router).await;
        server.a.post("/in").await.ok();
        let reply = server.a.post("/out").await;
        assert_eq!(reply.status.as_u16(), 500);
        assert!(reply.cookie().is_none());
    }

    /// Whatever a body does with the session while it streams is saved, once.
    async fn a_body_that_holds_the_session_saves_once_at_its_end(target) {
        let here = target.here().await;
        let router = Router::new()
            .route("/begin", post(async |s: Session| s.set("n", 0).unwrap()))
            .route("/stream", get(async |s: Session| {
                let session = Arc::new(s);
                Body::from_stream(stream::iter((0..3).map(move |_| {
                    let n = session.increment("n", 1).unwrap();
                    Ok::<_, std::io::Error>(Bytes::from(n.to_string()))
                })))
            }))
            .layer(here.layer().build().unwrap());
        let server = serve(router).await;
        server.a.post("/begin").await.ok();
        here.chaos.take_counts();
        assert_eq!(server.a.get("/stream").await.ok().body, "123");
        let counts = here.chaos.take_counts();
        assert_eq!((counts.reads, counts.writes), (1, 1));
    }
}
