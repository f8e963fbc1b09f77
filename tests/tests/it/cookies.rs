//! Cookie attributes.

use std::time::Duration;

use axum::Router;
use axum::response::{AppendHeaders, IntoResponse, Response};
use axum::routing::{get, post};
use http::header::{DATE, SET_COOKIE, VARY};
use session_http::{LazySession, Session};
use session_tests::Reply;

use crate::in_process::{cookie, serve};
use crate::site::refused;

cases! {
    /// H050
    async fn the_cookie_has_the_safe_attributes(target) {
        let site = target.start("--secure on");
        let reply = site.visitor().over_https().post("/put?k=a&v=1").await;
        assert_eq!(reply.attribute("Path").as_deref(), Some("/"));
        assert_eq!(reply.attribute("HttpOnly").as_deref(), Some(""));
        assert_eq!(reply.attribute("Secure").as_deref(), Some(""));
        assert_eq!(reply.attribute("SameSite").as_deref(), Some("Lax"));
        assert_eq!(reply.attribute("Domain"), None);
    }

    /// H051
    async fn a_browser_session_cookie_has_no_lifetime(target) {
        let site = target.start("");
        let reply = site.visitor().post("/put?k=a&v=1").await;
        assert_eq!((reply.attribute("Max-Age"), reply.attribute("Expires")), (None, None));
    }

    /// H052
    async fn a_persistent_cookie_lives_as_long_as_the_session_can(target) {
        let site = target.start("--persist --absolute 600");
        let reply = site.visitor().post("/put?k=a&v=1").await;
        assert!((570..=600).contains(&max_age(&reply)), "{reply:?}");
        let date = |text: &str| httpdate::parse_http_date(text).unwrap();
        let expires = date(&reply.attribute("Expires").unwrap());
        let sent = date(reply.headers[DATE].to_str().unwrap());
        let lives = expires.duration_since(sent).unwrap().as_secs();
        assert!(lives.abs_diff(max_age(&reply)) <= 30, "{reply:?}");
    }

    /// H053
    async fn remember_me_is_a_choice_of_the_session(target) {
        let site = target.start("").visited().await;
        assert!(max_age(&site.a.post("/life?persist=1").await) > 0);
        assert_eq!(site.a.get("/peek").await.cookie(), None);
        let reply = site.a.post("/life?persist=0").await;
        assert_eq!((reply.attribute("Max-Age"), reply.attribute("Expires")), (None, None));
    }

    /// H060
    async fn a_trusted_proxy_says_whether_the_client_used_https(target) {
        let site = target.start("--secure auto --trust-proxy");
        for (proto, secure) in
            [("https", true), ("https,http", true), ("http,https", false), ("", false)]
        {
            let a = site.visitor().over_https();
            let a = if proto.is_empty() { a } else { a.with_header("x-forwarded-proto", proto) };
            let reply = a.post("/put?k=a&v=1").await;
            assert_eq!(reply.attribute("Secure").is_some(), secure, "{proto}");
        }
    }

    /// H061
    async fn a_proxy_is_not_believed_unless_the_application_says_so(target) {
        let site = target.start("--secure auto");
        let a = site.visitor().with_header("x-forwarded-proto", "https");
        assert_eq!(a.post("/put?k=a&v=1").await.attribute("Secure"), None);
    }

    /// H063
    async fn same_site_can_follow_the_connection(target) {
        let site = target.start("--same-site auto --secure auto --trust-proxy");
        let a = site.visitor().over_https().with_header("x-forwarded-proto", "https");
        let reply = a.post("/put?k=a&v=1").await;
        assert_eq!(reply.attribute("SameSite").as_deref(), Some("None"));
        assert!(reply.attribute("Secure").is_some());
        let reply = site.visitor().post("/put?k=a&v=1").await;
        assert_eq!(reply.attribute("SameSite").as_deref(), Some("Lax"));
        assert_eq!(reply.attribute("Secure"), None);
    }

    /// H066
    async fn the_cookie_is_partitioned_on_demand(target) {
        for (args, partitioned) in [("--secure on", false), ("--secure on --partitioned", true)] {
            let reply = target.start(args).visitor().post("/put?k=a&v=1").await;
            assert_eq!(reply.attribute("Partitioned").is_some(), partitioned);
        }
    }

    /// H072
    async fn of_several_sessions_in_one_request_only_the_newest_gets_a_cookie(target) {
        let site = target.start("");
        let a = site.visitor();
        // `cookie` panics if there are two.
        assert!(a.post("/do?ops=put:a:1,destroy,put:b:2").await.ok().cookie().is_some());
        assert_eq!(a.get("/peek").await.get("keys"), serde_json::json!(["b"]));
        assert!(a.post("/do?ops=put:a:1,destroy,put:c:3").await.ok().cookie().is_some());
        assert_eq!(a.get("/peek").await.get("keys"), serde_json::json!(["c"]));
        assert_eq!(site.count().await, 1);
    }

    /// H073
    async fn an_unchanged_session_sends_no_cookie(target) {
        let site = target.start("--persist").visited().await;
        assert_eq!(site.a.get("/peek?k=foo").await.ok().cookie(), None);
    }

    /// H075
    async fn a_changed_session_that_keeps_its_id_sends_no_cookie(target) {
        let site = target.start("").visited().await;
        assert_eq!(site.a.post("/put?k=foo&v=2").await.ok().cookie(), None);
    }

    /// H076
    async fn a_rolling_cookie_is_sent_again_with_a_later_end(target) {
        let site = target.start_with_clock("--rolling --persist").visited().await;
        let before = site.a.jar().expires("sid").unwrap();
        site.advance(Duration::from_millis(1200)).await;
        assert!(site.a.get("/peek").await.ok().cookie().is_some());
        let after = site.a.jar().expires("sid").unwrap();
        assert!(after >= before + Duration::from_secs(1));
        assert_eq!(site.a.get("/noop").await.ok().cookie(), None);
    }

    /// H077
    async fn a_rolling_cookie_is_not_made_for_who_has_no_session(target) {
        let site = target.start("--rolling --persist");
        assert_eq!(site.visitor().get("/noop").await.ok().cookie(), None);
        assert_eq!(site.visitor().get("/peek").await.ok().cookie(), None);
        assert_eq!(site.count().await, 0);
    }

    /// H079
    async fn the_cookie_follows_the_lifetime_of_the_session(target) {
        let site = target.start("--persist").visited().await;
        for seconds in [60, 600, 3_000_000] {
            let reply = site.a.post(&format!("/life?abs={seconds}")).await;
            assert!((seconds - 30..=seconds).contains(&max_age(&reply)), "{reply:?}");
            assert!(reply.attribute("Expires").is_some());
        }
        // Browsers keep nothing longer than 400 days.
        let reply = site.a.post("/life?abs=1e12&idle=never").await;
        assert_eq!(max_age(&reply), 400 * 24 * 3600);
    }

    /// H081
    async fn caches_are_told_that_the_session_was_read(target) {
        let site = target.start("").visited().await;
        let reply = site.a.get("/peek").await;
        let vary: Vec<_> = reply.headers.get_all(VARY).iter().collect();
        assert_eq!(vary, ["Cookie"]);
        let control = reply.headers["cache-control"].to_str().unwrap();
        assert!(control.contains("private") || control.contains("no-store"), "{control}");
        assert!(!site.a.get("/noop").await.headers.contains_key(VARY));
    }

    /// H083
    async fn a_visitor_who_keeps_coming_never_loses_a_persistent_cookie(target) {
        for life in ["/life?abs=600", "/life?abs=never"] {
            let site = target.start_with_clock("--persist --idle 60").visited().await;
            site.a.post(life).await.ok();
            for _ in 0..10 {
                site.advance(Duration::from_secs(30)).await;
                assert_eq!(site.a.get("/peek?k=foo").await.v(), "bar");
            }
        }
    }
}

cases_in_one_process! {
    /// H055
    async fn a_cookie_with_a_path_is_for_requests_below_it(target) {
        let here = target.here().await;
        let layer = here.layer().cookie(cookie().with_path("/foo/bar")).build().unwrap();
        let server = serve(Router::new().fallback(visit).layer(layer)).await;
        assert_eq!(server.a.get("/").await.ok().cookie(), None);
        assert!(server.a.get("/foo/bar").await.ok().cookie().is_some());
        assert!(server.a.copy().get("/foo/bar/baz").await.ok().cookie().is_none());
        let other = server.a.clone().with_header("cookie", "sid=x");
        let gone = "sid=; Path=/foo/bar; Max-Age=0";
        server.a.jar().take(gone, place(), std::time::SystemTime::now());
        assert!(other.get("/foo/bar/baz").await.ok().cookie().is_some());
    }

    /// H056
    async fn a_path_is_no_prefix_of_a_word(target) {
        let here = target.here().await;
        let layer = here.layer().cookie(cookie().with_path("/admin")).build().unwrap();
        let server = serve(Router::new().fallback(visit).layer(layer)).await;
        assert!(server.a.get("/admin/x").await.ok().cookie().is_some());
        let id = server.a.sid().unwrap();
        let forced = server.a.clone().with_header("cookie", format!("sid={id}"));
        for a in [&server.a, &forced] {
            let reply = a.get("/administrator").await;
            assert_eq!((reply.cookie(), &*reply.body), (None, &b"unsupported"[..]));
        }
        assert_eq!(here.count().await, 1);
    }

    /// H057
    async fn a_path_is_compared_with_what_the_client_asked_for(target) {
        let here = target.here().await;
        let layer = here.layer().cookie(cookie().with_path("/foo/bar")).build().unwrap();
        // Below `/foo` the router's handlers see paths without it.
        let inner = Router::new().route("/bar", get(visit)).route("/foo/bar", get(visit));
        let server = serve(Router::new().nest("/foo", inner).layer(layer)).await;
        assert_eq!(server.a.get("/foo/foo/bar").await.ok().cookie(), None);
        assert!(server.a.get("/foo/bar").await.ok().cookie().is_some());
    }

    /// H071
    async fn cookies_of_others_stay(target) {
        async fn handler(session: Session) -> impl IntoResponse {
            session.set("a", 1).unwrap();
            AppendHeaders([(SET_COOKIE, "handler=1")])
        }
        let here = target.here().await;
        let router = Router::new()
            .route("/", post(handler))
            .layer(here.layer().build().unwrap())
            .layer(axum::middleware::map_response(async |mut response: Response| {
                response.headers_mut().append(SET_COOKIE, "outer=1".parse().unwrap());
                response
            }));
        let server = serve(router).await;
        let reply = server.a.post("/").await;
        for name in ["handler", "sid", "outer"] {
            assert!(reply.ok().set_cookie(name).is_some(), "{name}");
        }
    }

    /// Cookies that a browser would refuse are refused at the start.
    async fn impossible_cookies_are_refused_at_the_start(target) {
        let home = target.home();
        let uri = home.uri();
        for impossible in [
            "--name __Host-sid --secure on --domain example.org",
            "--name __Host-sid --secure on --path /a",
            "--name __Host-sid --secure off",
            "--name __Secure-sid --secure auto",
            "--same-site none",
            "--partitioned",
            "--path a",
            "--name s;d",
        ] {
            let args: Vec<_> = ["--store", &uri].into_iter().chain(impossible.split(' ')).collect();
            let (code, text) = refused(&args);
            // The tasks of MongoDB's driver may complain that the process ends below them.
            let said = text.lines().filter(|line| line.starts_with("probe: ")).count();
            assert_eq!((code, said), (1, 1), "{impossible}: {text}");
        }
    }
}

/// Sets a value, or names the kind of the error.
async fn visit(session: LazySession) -> String {
    match session.load().await {
        Ok(session) => session.increment("visits", 1).unwrap().to_string(),
        Err(err) => err.kind().to_string(),
    }
}

fn max_age(reply: &Reply) -> u64 {
    reply.attribute("Max-Age").unwrap().parse().unwrap()
}

const fn place() -> session_tests::Place<'static> {
    session_tests::Place { https: false, host: "127.0.0.1", path: "/foo/bar" }
}
