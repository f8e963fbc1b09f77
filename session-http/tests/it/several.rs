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
        let lazy = request.lazy_session_named("admin").unwrap();
        assert_eq!(lazy.loaded().unwrap().get("user").unwrap(), Some("ann".to_owned()));
        let err = request.lazy_session_named("blog").unwrap_err();
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

#[tokio::test]
async fn two_layers_with_one_name_are_an_error_and_nothing_is_stored() {
    let (shop, outer) = store();
    let (admin, inner) = store();
    let (outer, inner) = (outer.build().unwrap(), inner.build().unwrap());
    let service = tower::service_fn(|request: Request<()>| async move {
        for err in [
            request.session().await.unwrap_err(),
            request.session_named("sid").await.unwrap_err(),
            request.lazy_session().unwrap_err(),
        ] {
            assert_eq!(err.kind(), ErrorKind::InvalidConfig);
            assert!(err.to_string().contains("`sid`"), "{err}");
            assert!(err.to_string().contains("another cookie name"), "{err}");
        }
        Ok::<_, Infallible>(ok())
    });
    let response = outer.layer(inner.layer(service)).oneshot(Request::new(())).await.unwrap();
    assert!(response.headers().is_empty());
    assert_eq!(shop.counts(), session_core::testkit::Counts::default());
    assert_eq!(admin.counts(), session_core::testkit::Counts::default());
}

#[tokio::test]
async fn a_name_that_clashes_does_not_keep_another_from_being_found() {
    let service = tower::service_fn(|request: Request<()>| async move {
        request.session_named("admin").await.unwrap().set("user", "ann").unwrap();
        assert!(request.session_named("shop").await.is_err());
        Ok::<_, Infallible>(ok())
    });
    let service = named("shop").layer(named("admin").layer(named("shop").layer(service)));
    let response = service.oneshot(Request::new(())).await.unwrap();
    let cookies: Vec<_> = response.headers().get_all(SET_COOKIE).iter().collect();
    assert!(matches!(&cookies[..], [only] if only.to_str().unwrap().starts_with("admin=")));
}
