//! Several sessions in one application.

use crate::support::{ok, store};
use http::header::SET_COOKIE;
use http::{Request, Response};
use session_core::{MemoryHandler, SessionManager};
use session_http::{CookieConfig, ErrorKind, RequestSessionExt, Secure, SessionLayer};
use std::convert::Infallible;
use tower::{Layer, ServiceExt};

fn named(name: &str) -> SessionLayer {
    SessionLayer::builder(SessionManager::new(MemoryHandler::new()))
        .cookie(CookieConfig::new(name).with_secure(Secure::Never))
        .build()
        .unwrap()
}

#[tokio::test]
async fn two_layers_keep_two_sessions_apart_by_name() {
    let service = tower::service_fn(|request: Request<()>| async move {
        let shop = request.session_named("shop").await.unwrap();
        let admin = request.session_named("admin").await.unwrap();
        shop.set("cart", 1).unwrap();
        admin.set("user", "ann").unwrap();
        assert!(!shop.exists("user").unwrap());

        let err = request.session().await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidConfig);
        assert!(err.to_string().contains("`shop`, `admin`"), "{err}");
        let err = request.session_named("blog").await.unwrap_err();
        assert!(err.to_string().contains("`shop`, `admin`"), "{err}");
        Ok::<_, Infallible>(Response::new(http_body_util::Full::<bytes::Bytes>::default()))
    });
    let service = named("shop").layer(named("admin").layer(service));
    let response = service.oneshot(Request::new(())).await.unwrap();
    let mut names: Vec<_> = response
        .headers()
        .get_all(SET_COOKIE)
        .iter()
        .map(|field| field.to_str().unwrap().split('=').next().unwrap().to_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["admin", "shop"]);
}

#[tokio::test]
async fn one_layer_twice_is_one_session() {
    let (chaos, layer) = store();
    let layer = layer.build().unwrap();
    let service = tower::service_fn(|request: Request<()>| async move {
        request.session().await.unwrap().set("a", 1).unwrap();
        Ok::<_, Infallible>(ok())
    });
    let service = layer.layer(layer.layer(service));
    let response = service.oneshot(Request::new(())).await.unwrap();
    assert_eq!(response.headers().get_all(SET_COOKIE).iter().count(), 1);
    assert_eq!(chaos.counts().creates, 1);
}
