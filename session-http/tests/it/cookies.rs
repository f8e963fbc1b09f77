//! When a cookie is set, and what else a response says.

use crate::support::{Client, builder, ok, set_cookie, store};
use crate::with;
use http::header::{CACHE_CONTROL, COOKIE, SET_COOKIE, VARY};
use http::{HeaderValue, Request};
use session_core::{MemoryHandler, Policy, SessionManager};
use session_http::{CookieConfig, ErrorKind, Https, RequestSessionExt, Secure, SessionLayer};
use std::time::Duration;

#[tokio::test]
async fn a_request_that_never_asks_costs_nothing_and_says_nothing() {
    let (chaos, layer) = store();
    let client = Client::new(layer.build().unwrap());
    client.send(with!(session => session.set("a", 1).unwrap())).await;
    chaos.take_counts();

    let answer = client.send(|_| async { ok() }).await;

    assert!(answer.headers().is_empty(), "{answer:?}");
    assert_eq!(chaos.counts(), session_core::testkit::Counts::default());
}

#[tokio::test]
async fn a_session_is_read_once_and_written_once_per_request() {
    let (chaos, layer) = store();
    let client = Client::new(layer.build().unwrap());
    client
        .send(with!(session => {
            for n in 0..10 {
                session.set("n", n).unwrap();
            }
        }))
        .await;
    let counts = chaos.take_counts();
    assert_eq!((counts.reads, counts.creates, counts.writes), (0, 1, 0));

    client
        .send(|request| async move {
            for n in 0..10 {
                let session = request.session().await.unwrap();
                assert_eq!(session.get("n").unwrap(), Some(if n == 0 { 9 } else { n - 1 }));
                session.set("n", n).unwrap();
            }
            request.session().await.unwrap().set("m", 1).unwrap();
            ok()
        })
        .await;
    let counts = chaos.take_counts();
    assert_eq!((counts.reads, counts.creates, counts.writes, counts.touches), (1, 0, 1, 0));

    client.send(with!(session => assert_eq!(session.get("n").unwrap(), Some(9)))).await;
    let counts = chaos.take_counts();
    assert_eq!((counts.reads, counts.writes, counts.touches), (1, 0, 0));
}

#[tokio::test]
async fn the_default_cookie_has_every_safe_attribute() {
    let layer = SessionLayer::new(MemoryHandler::new());
    let answer = Client::new(layer).send(with!(session => session.set("a", 1).unwrap())).await;
    let cookie = answer.headers()[SET_COOKIE].to_str().unwrap();
    let (name, attributes) = cookie.split_once("; ").unwrap();
    assert!(name.starts_with("__Host-sid="));
    assert_eq!(attributes, "HttpOnly; SameSite=Lax; Secure; Path=/");
}

#[tokio::test]
async fn what_was_only_read_sets_no_cookie_but_is_kept_from_shared_caches() {
    let (_, layer) = store();
    let client = Client::new(layer.build().unwrap());
    let first = client.send(with!(session => session.set("a", 1).unwrap())).await;
    assert_eq!(first.headers()[CACHE_CONTROL], "no-store");

    let answer = client.send(with!(session => drop(session.all().unwrap()))).await;

    assert_eq!(set_cookie(&answer), None);
    assert_eq!(answer.headers()[VARY], "Cookie");
    assert_eq!(answer.headers()[CACHE_CONTROL], "private, no-cache");
}

#[tokio::test]
async fn what_the_handler_says_about_caches_and_cookies_stays() {
    let (_, layer) = store();
    let answer = Client::new(layer.build().unwrap())
        .send(|request| async move {
            request.session().await.unwrap().set("a", 1).unwrap();
            let mut response = ok();
            let headers = response.headers_mut();
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=5, Private"));
            headers.insert(VARY, HeaderValue::from_static("Accept, cookie"));
            headers.insert(SET_COOKIE, HeaderValue::from_static("theirs=1"));
            response
        })
        .await;
    assert_eq!(answer.headers()[CACHE_CONTROL], "max-age=5, Private");
    assert_eq!(answer.headers().get_all(VARY).iter().count(), 1);
    let cookies: Vec<_> = answer.headers().get_all(SET_COOKIE).iter().collect();
    assert_eq!(cookies.len(), 2);
    assert_eq!(cookies[0], "theirs=1");
}

/// Answers with these `Cache-Control` fields.
fn cached(fields: &[&'static str]) -> http::Response<crate::support::Body> {
    let mut response = ok();
    for field in fields {
        response.headers_mut().append(CACHE_CONTROL, HeaderValue::from_static(field));
    }
    response
}

fn cache_control(answer: &crate::support::Answer) -> Vec<&str> {
    answer.headers().get_all(CACHE_CONTROL).iter().map(|field| field.to_str().unwrap()).collect()
}

#[tokio::test]
async fn no_shared_cache_keeps_a_response_that_used_the_session() {
    for (said, with_id, without) in [
        (&["public, max-age=60"][..], &["no-store"][..], &["private, no-cache"][..]),
        (&["max-age=60"], &["no-store"], &["private, no-cache"]),
        (&["s-maxage=60", "no-cache"], &["no-store"], &["private, no-cache"]),
        (&["private=\"x-a\", max-age=60"], &["no-store"], &["private, no-cache"]),
        (&["private, max-age=60"], &["private, max-age=60"], &["private, max-age=60"]),
        (&["max-age=60", "PRIVATE"], &["max-age=60", "PRIVATE"], &["max-age=60", "PRIVATE"]),
        (&["no-store"], &["no-store"], &["no-store"]),
    ] {
        let (_, layer) = store();
        let client = Client::new(layer.build().unwrap());
        let set = |request: Request<()>| async move {
            request.session().await.unwrap().set("a", 1).unwrap();
            cached(said)
        };
        let answer = client.send(set).await;
        assert!(set_cookie(&answer).is_some());
        assert_eq!(cache_control(&answer), with_id, "{said:?}");

        let read = |request: Request<()>| async move {
            request.session().await.unwrap();
            cached(said)
        };
        let answer = client.send(read).await;
        assert_eq!(set_cookie(&answer), None);
        assert_eq!(cache_control(&answer), without, "{said:?}");

        let end = |request: Request<()>| async move {
            request.session().await.unwrap().destroy().unwrap();
            cached(said)
        };
        let answer = client.send(end).await;
        assert_eq!(set_cookie(&answer).as_deref(), Some(""));
        assert_eq!(cache_control(&answer), with_id, "{said:?}");

        let answer = client.send(|_| async { cached(said) }).await;
        assert_eq!(cache_control(&answer), said, "a response without a session is the handler's");
    }
}

#[tokio::test]
async fn no_cache_keeps_an_id_that_is_sent_to_all_or_again() {
    let (_, layer) = store();
    let public = |_| async { cached(&["public, max-age=60"]) };
    let answer = Client::new(layer.eager(true).build().unwrap()).send(public).await;
    assert!(set_cookie(&answer).is_some());
    assert_eq!(cache_control(&answer), ["no-store"]);

    let mut policy = Policy::default();
    policy.persistent = true;
    policy.rolling = true;
    let sessions = SessionManager::builder(MemoryHandler::new()).policy(policy).build().unwrap();
    let client = Client::new(builder(sessions).build().unwrap());
    client.send(with!(session => session.set("a", 1).unwrap())).await;
    let read = |request: Request<()>| async move {
        request.session().await.unwrap();
        cached(&["public, max-age=60"])
    };
    let answer = client.send(read).await;
    assert!(set_cookie(&answer).is_some());
    assert_eq!(cache_control(&answer), ["no-store"]);
}

#[tokio::test]
async fn a_persistent_cookie_lives_until_the_absolute_deadline() {
    let mut policy = Policy::default();
    policy.persistent = true;
    policy.idle = Duration::from_secs(60);
    policy.absolute = Some(Duration::from_secs(600));
    let sessions = SessionManager::builder(MemoryHandler::new()).policy(policy).build().unwrap();
    let answer = Client::new(builder(sessions).build().unwrap())
        .send(with!(session => session.set("a", 1).unwrap()))
        .await;
    let cookie = answer.headers()[SET_COOKIE].to_str().unwrap();
    assert!(["Max-Age=600", "Max-Age=599"].iter().any(|age| cookie.contains(age)), "{cookie}");
    assert!(cookie.contains("Expires="), "{cookie}");
}

#[tokio::test]
async fn an_id_that_nobody_issued_is_never_adopted() {
    let (chaos, layer) = store();
    let client = Client::new(layer.build().unwrap());
    let planted = "a".repeat(32);
    *client.cookie.lock().unwrap() = Some(planted.clone());
    let answer = client.send(with!(session => session.set("a", 1).unwrap())).await;
    assert_ne!(set_cookie(&answer).unwrap(), planted);

    chaos.take_counts();
    *client.cookie.lock().unwrap() = Some("../../etc/passwd".into());
    client.send(with!(session => assert!(session.id().is_none()))).await;
    assert_eq!(chaos.counts().reads, 0);
}

#[tokio::test]
async fn of_two_ids_the_living_one_counts_and_two_living_ones_do_not() {
    let (_, layer) = store();
    let layer = layer.build().unwrap();
    let (a, b) = (Client::new(layer.clone()), Client::new(layer));
    for client in [&a, &b] {
        client.send(with!(session => session.set("a", 1).unwrap())).await;
    }
    let id = |client: &Client| client.cookie.lock().unwrap().clone().unwrap();
    let (dead, live, other) = ("d".repeat(32), id(&a), id(&b));
    for (cookies, found) in [
        (format!("sid={dead}; sid={live}"), true),
        (format!("sid={live}; sid={dead}"), true),
        (format!("sid={live}; sid={other}"), false),
    ] {
        let request = Request::builder().header(COOKIE, cookies).body(()).unwrap();
        let check = |request: Request<()>| async move {
            assert_eq!(request.session().await.unwrap().exists("a").unwrap(), found);
            ok()
        };
        assert_eq!(set_cookie(&a.send_request(request, check).await), None);
    }
}

#[tokio::test]
async fn requests_outside_of_the_cookies_path_have_no_session() {
    let cookie = CookieConfig::new("sid").with_secure(Secure::Never).with_path("/admin");
    let layer = SessionLayer::builder(SessionManager::new(MemoryHandler::new()))
        .cookie(cookie)
        .build()
        .unwrap();
    let client = Client::new(layer);
    for (path, inside) in [("/admin", true), ("/admin/x", true), ("/administrator", false)] {
        let request = Request::builder().uri(path).body(()).unwrap();
        let answer = client
            .send_request(request, |request| async move {
                match request.session().await {
                    Ok(session) => session.set("a", 1).unwrap(),
                    Err(err) => assert_eq!(err.kind(), ErrorKind::Unsupported),
                }
                ok()
            })
            .await;
        assert_eq!(set_cookie(&answer).is_some(), inside, "{path}");
    }
}

#[tokio::test]
async fn a_proxy_is_believed_only_if_it_is_trusted() {
    for (trust, header, secure) in [
        (true, Some("https"), true),
        (true, Some("https,http"), true),
        (true, Some("http,https"), false),
        (true, None, false),
        (false, Some("https"), false),
    ] {
        let layer = SessionLayer::builder(SessionManager::new(MemoryHandler::new()))
            .cookie(CookieConfig::new("sid").with_secure(Secure::Auto))
            .trust_proxy(trust)
            .build()
            .unwrap();
        let mut request = Request::new(());
        if let Some(header) = header {
            request.headers_mut().insert("x-forwarded-proto", HeaderValue::from_static(header));
        }
        let set = with!(session => session.set("a", 1).unwrap());
        let answer = Client::new(layer).send_request(request, set).await;
        let cookie = answer.headers()[SET_COOKIE].to_str().unwrap();
        assert_eq!(cookie.contains("Secure"), secure, "{trust} {header:?}");
    }
}

#[tokio::test]
async fn a_mark_says_https_unless_a_trusted_proxy_says_otherwise() {
    for (marked, trust, header, secure) in [
        (true, false, None, true),
        (false, false, None, false),
        (true, true, None, true),
        (true, true, Some("http"), false),
        (true, false, Some("http"), true),
    ] {
        let layer = SessionLayer::builder(SessionManager::new(MemoryHandler::new()))
            .cookie(CookieConfig::new("sid").with_secure(Secure::Auto))
            .trust_proxy(trust)
            .build()
            .unwrap();
        let mut request = Request::new(());
        if marked {
            request.extensions_mut().insert(Https);
        }
        if let Some(header) = header {
            request.headers_mut().insert("x-forwarded-proto", HeaderValue::from_static(header));
        }
        let set = with!(session => session.set("a", 1).unwrap());
        let answer = Client::new(layer).send_request(request, set).await;
        let cookie = answer.headers()[SET_COOKIE].to_str().unwrap();
        assert_eq!(cookie.contains("Secure"), secure, "{marked} {trust} {header:?}");
    }
}

#[tokio::test]
async fn an_eager_layer_gives_every_visitor_a_session() {
    let (chaos, layer) = store();
    let client = Client::new(layer.eager(true).build().unwrap());
    assert!(set_cookie(&client.send(|_| async { ok() }).await).is_some());
    assert_eq!(chaos.take_counts().creates, 1);
    assert_eq!(set_cookie(&client.send(|_| async { ok() }).await), None);
    assert_eq!(chaos.take_counts().creates, 0);
}

#[test]
fn a_cookie_that_browsers_refuse_makes_no_layer() {
    let sessions = SessionManager::new(MemoryHandler::new());
    let cookie = CookieConfig::default().with_domain("example.org");
    let err = SessionLayer::builder(sessions).cookie(cookie).build().unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
}
