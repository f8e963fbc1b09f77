//! The extractors, in a router.

use crate::support::store;
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::header::SET_COOKIE;
use http::{Request, StatusCode};
use session_core::Operation;
use session_http::{ErrorKind, LazySession, Session};
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
