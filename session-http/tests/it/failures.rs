//! What clients see when something goes wrong.

use crate::support::{Client, ok, set_cookie, store};
use crate::with;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, COOKIE, ETAG, RETRY_AFTER};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use session_core::{Operation, Outage, Save, Status};
use session_http::{ErrorKind, RequestSessionExt, SaveRule};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tower::{Layer, ServiceExt};

async fn signed_in() -> (session_core::testkit::Chaos, Client) {
    let (chaos, layer) = store();
    let client = Client::new(layer.build().unwrap());
    client.send(with!(session => session.set("user", "ann").unwrap())).await;
    (chaos, client)
}

#[tokio::test]
async fn a_store_that_is_down_is_never_an_empty_session() {
    let (chaos, client) = signed_in().await;
    chaos.fail(Operation::Read, ErrorKind::Unavailable);
    let answer = client
        .send(|request| async move {
            let err = request.session().await.unwrap_err();
            session_http::default_response(&err).map(Full::new)
        })
        .await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()[RETRY_AFTER], "1");
    assert_eq!(set_cookie(&answer), None);

    chaos.heal();
    client
        .send(with!(session => assert_eq!(session.get("user").unwrap(), Some("ann".to_owned()))))
        .await;
}

#[tokio::test]
async fn a_page_that_is_for_anybody_is_shown_without_the_store() {
    let (chaos, client) = signed_in().await;
    chaos.fail(Operation::Read, ErrorKind::Unavailable);
    let answer = client
        .send(|request| async move {
            let lazy = request.lazy_session().unwrap();
            let stale = lazy.load_or(Outage::Stale(Duration::from_secs(60))).await.unwrap_err();
            assert_eq!(stale.kind(), ErrorKind::InvalidConfig, "nothing was kept");
            assert_eq!(lazy.load().await.unwrap_err().kind(), ErrorKind::Unavailable);
            let session = lazy.load_or(Outage::Anonymous).await.unwrap();
            assert_eq!(session.status(), Status::Degraded);
            ok()
        })
        .await;
    assert_eq!((answer.status(), set_cookie(&answer)), (StatusCode::OK, None));

    chaos.heal();
    client
        .send(with!(session => assert_eq!(session.get("user").unwrap(), Some("ann".to_owned()))))
        .await;
}

#[tokio::test]
async fn a_failed_save_replaces_the_response_and_all_its_headers() {
    let (chaos, client) = signed_in().await;
    chaos.fail(Operation::Write, ErrorKind::Unavailable);
    let answer = client
        .send(|request| async move {
            request.session().await.unwrap().set("a", 1).unwrap();
            let mut response = Response::new(Full::new(Bytes::from("welcome")));
            response.headers_mut().insert(ETAG, HeaderValue::from_static("\"1\""));
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("7"));
            response
        })
        .await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(!answer.headers().contains_key(ETAG) && !answer.headers().contains_key(CONTENT_LENGTH));
    assert_eq!(answer.body(), "session: unavailable\n");
    assert_eq!(set_cookie(&answer), None);
}

#[tokio::test]
async fn a_visitor_gets_no_cookie_for_a_session_that_was_not_stored() {
    let (chaos, layer) = store();
    chaos.fail(Operation::Create, ErrorKind::StorageFull);
    let client = Client::new(layer.build().unwrap());
    let answer = client.send(with!(session => session.set("a", 1).unwrap())).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(!client.has_cookie());
}

#[tokio::test]
async fn a_failed_logout_is_an_error_and_the_browser_forgets_anyway() {
    let (chaos, client) = signed_in().await;
    chaos.fail(Operation::Destroy, ErrorKind::Unavailable);
    let answer = client.send(with!(session => session.destroy().unwrap())).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(set_cookie(&answer).as_deref(), Some(""));
}

#[tokio::test]
async fn a_server_error_drops_changes_and_keeps_logouts() {
    let (_, client) = signed_in().await;
    let cookie = client.cookie.lock().unwrap().clone();
    let failing = |request: Request<()>| async move {
        request.session().await.unwrap().set("user", "bob").unwrap();
        let mut response = ok();
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    };
    client.send(failing).await;
    client
        .send(with!(session => assert_eq!(session.get("user").unwrap(), Some("ann".to_owned()))))
        .await;

    client
        .send(|request| async move {
            request.session().await.unwrap().destroy().unwrap();
            let mut response = ok();
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        })
        .await;
    *client.cookie.lock().unwrap() = cookie;
    client.send(with!(session => assert!(!session.exists("user").unwrap()))).await;
}

#[tokio::test]
async fn the_application_decides_which_responses_save() {
    for (rule, saved) in [
        (SaveRule::Always, true),
        (SaveRule::custom(|status| if status == 500 { Save::Endings } else { Save::All }), false),
    ] {
        let (chaos, layer) = store();
        let client = Client::new(layer.save_rule(rule).build().unwrap());
        client
            .send(|request| async move {
                request.session().await.unwrap().set("a", 1).unwrap();
                let mut response = ok();
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            })
            .await;
        assert_eq!(chaos.counts().creates == 1, saved);
        assert_eq!(client.has_cookie(), saved);
    }
}

#[tokio::test]
async fn a_panic_saves_nothing_and_still_logs_out() {
    let (_, client) = signed_in().await;
    let cookie = client.cookie.lock().unwrap().clone();
    let panicking = client.clone();
    let crash = tokio::spawn(async move {
        panicking
            .send(|request| async move {
                request.session().await.unwrap().destroy().unwrap();
                panic!("in the handler")
            })
            .await
    });
    assert!(crash.await.unwrap_err().is_panic());
    // The logout runs in a task of its own; on this runtime it comes before this one goes on.
    tokio::task::yield_now().await;
    *client.cookie.lock().unwrap() = cookie;
    client.send(with!(session => assert!(!session.exists("user").unwrap()))).await;
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_cancel_the_save() {
    let (chaos, layer) = store();
    let layer = layer.build().unwrap();
    let client = Client::new(layer.clone());
    client.send(with!(session => session.set("user", "ann").unwrap())).await;
    let id = client.cookie.lock().unwrap().clone().unwrap();

    let hold = chaos.hold(Operation::Destroy);
    let service = tower::service_fn(|request: Request<()>| async move {
        request.session().await.unwrap().destroy().unwrap();
        Ok::<_, Infallible>(ok())
    });
    let request = Request::builder().header(COOKIE, format!("sid={id}")).body(()).unwrap();
    let hung_up = Arc::new(Notify::new());
    let waiting = Arc::clone(&hung_up);
    let response = tokio::spawn(async move {
        tokio::select! {
            _ = layer.layer(service).oneshot(request) => panic!("answered before the store did"),
            () = waiting.notified() => {}
        }
    });
    hold.reached().await;
    hung_up.notify_one();
    response.await.unwrap();
    hold.release();

    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    client.send(with!(session => assert!(!session.exists("user").unwrap()))).await;
}

#[tokio::test]
async fn without_a_layer_the_error_says_what_to_add() {
    let err = Request::new(()).session().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    assert!(err.to_string().contains("SessionLayer"), "{err}");
}

#[tokio::test]
async fn the_application_writes_its_own_error_responses() {
    let (chaos, layer) = store();
    chaos.fail(Operation::Create, ErrorKind::Unavailable);
    let layer = layer.error_response(|err| {
        let mut response = Response::new(Bytes::from(format!("sorry: {}", err.kind())));
        *response.status_mut() = StatusCode::IM_A_TEAPOT;
        response
    });
    let client = Client::new(layer.build().unwrap());
    let answer = client.send(with!(session => session.set("a", 1).unwrap())).await;
    assert_eq!(answer.status(), StatusCode::IM_A_TEAPOT);
    assert_eq!(answer.body(), "sorry: unavailable");
}

#[tokio::test]
async fn a_refused_response_hands_out_no_id_that_was_saved_before() {
    let (chaos, layer) = store();
    chaos.fail(Operation::Write, ErrorKind::Unavailable);
    let client = Client::new(layer.build().unwrap());
    let answer = client
        .send(with!(session => {
            session.set("a", 1).unwrap();
            session.save().await.unwrap();
            session.set("b", 2).unwrap();
        }))
        .await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(set_cookie(&answer), None);
}

#[tokio::test]
async fn a_save_that_first_meets_a_change_and_then_a_logout_has_the_client_forget_its_id() {
    let memory = session_core::MemoryHandler::new();
    let chaos = session_core::testkit::Chaos::new(memory.clone());
    let elsewhere = session_core::SessionManager::new(memory);
    let layer = crate::support::builder(session_core::SessionManager::new(chaos.clone()));
    let client = Client::new(layer.build().unwrap());
    client.send(with!(session => session.set("user", "ann").unwrap())).await;
    let id = session_core::SessionId::parse(client.cookie.lock().unwrap().as_ref().unwrap());
    let id = id.unwrap();

    let written = elsewhere.load(&id).await.unwrap();
    let slow = client.clone();
    let (loaded, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (Arc::clone(&loaded), Arc::clone(&go_on));
    let answer = tokio::spawn(async move {
        slow.send(|request| async move {
            let session = request.session().await.unwrap();
            tell.notify_one();
            wait.notified().await;
            session.set("late", 1).unwrap();
            ok()
        })
        .await
    });
    loaded.notified().await;
    written.set("other", 1).unwrap();
    written.save().await.unwrap();
    let hold = chaos.hold(Operation::Read);
    go_on.notify_one();
    hold.reached().await;
    let ended = elsewhere.load(&id).await.unwrap();
    ended.destroy().unwrap();
    ended.save().await.unwrap();
    hold.release();

    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), StatusCode::CONFLICT);
    assert_eq!(set_cookie(&answer).as_deref(), Some(""));
}
