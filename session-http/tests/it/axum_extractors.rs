//! The extractors, in a router.

use crate::support::{builder, store};
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::header::{RETRY_AFTER, SET_COOKIE};
use http::{Request, StatusCode};
use session_core::testkit::Chaos;
use session_core::{MemoryHandler, Operation, Outage, Policy, SessionManager};
use session_http::{CookieConfig, ErrorKind, LazySession, Secure, Session, SessionRejection};
use std::time::Duration;
use tower::ServiceExt;

async fn get_root(app: Router) -> http::Response<Body> {
    app.oneshot(Request::new(Body::empty())).await.unwrap()
}

#[tokio::test]
async fn a_session_is_loaded_before_the_handler_runs() {
    let (chaos, layer) = store();
    let handler = async |session: Session| {
        session.set("a", 1).unwrap();
        "done"
    };
    let app = Router::new().route("/", get(handler)).layer(layer.build().unwrap());
    let response = get_root(app.clone()).await;
    assert_eq!(response.status(), StatusCode::OK);
    let cookie = response.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap();

    chaos.fail(Operation::Read, ErrorKind::Timeout);
    let request = Request::builder().header("cookie", cookie).body(Body::empty()).unwrap();
    let response = app.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn an_optional_session_is_none_for_a_visitor() {
    let (_, layer) = store();
    let handler = async |session: Option<Session>| session.is_some().to_string();
    let app = Router::new().route("/", get(handler)).layer(layer.build().unwrap());
    let body = axum::body::to_bytes(get_root(app).await.into_body(), 100).await.unwrap();
    assert_eq!(body, "false");
}

#[tokio::test]
async fn an_optional_session_is_there_as_long_as_it_is_not_known_to_be_over() {
    let mut policy = Policy::default();
    policy.outage = Outage::Stale(Duration::from_secs(3600));
    let chaos = Chaos::new(MemoryHandler::new());
    let sessions = SessionManager::builder(chaos.clone()).policy(policy).build().unwrap();
    let show = async |session: Option<Session>| match session {
        Some(session) => session.get::<String>("user").unwrap().unwrap_or_default(),
        None => "nobody".into(),
    };
    let sign_in =
        async |session: Session| session.set("user", "ann").map_err(SessionRejection::from);
    let sign_out = async |session: Session| session.destroy().map_err(SessionRejection::from);
    let app = Router::new()
        .route("/", get(show))
        .route("/sign-in", get(sign_in))
        .route("/sign-out", get(sign_out))
        .layer(builder(sessions).build().unwrap());
    let send = async |path: &str, cookie: &str| {
        let request = Request::builder().uri(path).header("cookie", cookie).body(Body::empty());
        let response = app.clone().oneshot(request.unwrap()).await.unwrap();
        let cookie = response.headers().get(SET_COOKIE).cloned();
        let body = axum::body::to_bytes(response.into_body(), 100).await.unwrap();
        (String::from_utf8(body.to_vec()).unwrap(), cookie)
    };
    let (_, cookie) = send("/sign-in", "").await;
    let cookie = cookie.unwrap().to_str().unwrap().split(';').next().unwrap().to_owned();
    assert_eq!(send("/", &cookie).await.0, "ann");

    chaos.fail(Operation::Read, ErrorKind::Unavailable);
    assert_eq!(send("/", &cookie).await.0, "ann", "what was seen last is shown");

    chaos.heal();
    send("/sign-out", &cookie).await;
    assert_eq!(send("/", &cookie).await.0, "nobody");
}

#[tokio::test]
async fn an_optional_session_is_none_outside_of_the_cookies_path() {
    let (_, layer) = store();
    let cookie = CookieConfig::new("sid").with_secure(Secure::Never).with_path("/admin");
    let handler = async |session: Option<Session>| session.is_some().to_string();
    let app = Router::new().route("/", get(handler)).layer(layer.cookie(cookie).build().unwrap());
    let response = get_root(app).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(axum::body::to_bytes(response.into_body(), 100).await.unwrap(), "false");
}

#[tokio::test]
async fn a_handler_ends_with_the_sessions_error() {
    let (chaos, layer) = store();
    let handler = async |lazy: LazySession| {
        let session = lazy.load().await?;
        session.increment("visits", 1)?;
        Ok::<_, SessionRejection>("welcome")
    };
    let app = Router::new().route("/", get(handler)).layer(layer.build().unwrap());
    let response = get_root(app.clone()).await;
    let cookie = response.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap();
    chaos.fail(Operation::Read, ErrorKind::Unavailable);
    let request = Request::builder().header("cookie", cookie).body(Body::empty()).unwrap();
    let response = app.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()[RETRY_AFTER], "1");
    let body = axum::body::to_bytes(response.into_body(), 100).await.unwrap();
    assert_eq!(body, "session: unavailable\n");
}

#[tokio::test]
async fn an_optional_lazy_session_is_none_without_a_layer_only() {
    let handler = async |lazy: Option<LazySession>| lazy.is_some().to_string();
    let app = Router::new().route("/", get(handler));
    let body = axum::body::to_bytes(get_root(app.clone()).await.into_body(), 100).await.unwrap();
    assert_eq!(body, "false");
    let clash = app.layer(store().1.build().unwrap()).layer(store().1.build().unwrap());
    assert_eq!(get_root(clash).await.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn a_lazy_session_is_not_loaded_until_it_is_asked_for() {
    let (chaos, layer) = store();
    let handler = async |lazy: LazySession| {
        assert!(lazy.loaded().is_none());
        lazy.load_read_only().await.unwrap().set("a", 1).unwrap_err().kind().to_string()
    };
    let app = Router::new().route("/", get(handler)).layer(layer.build().unwrap());
    let body = axum::body::to_bytes(get_root(app).await.into_body(), 100).await.unwrap();
    assert_eq!(body, "unsupported");
    assert_eq!(chaos.counts().creates, 0);
}

#[tokio::test]
async fn without_a_layer_the_request_is_answered_with_an_error() {
    let app = Router::new().route("/", get(async |_: Session| "unreachable"));
    assert_eq!(get_root(app).await.status(), StatusCode::INTERNAL_SERVER_ERROR);
}
