//! A service around a closure, and a client that keeps the cookie.

use std::convert::Infallible;
use std::future::Future;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::{COOKIE, SET_COOKIE};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use session_core::testkit::Chaos;
use session_core::{MemoryHandler, SessionManager};
use session_http::{CookieConfig, LayerBuilder, Secure, SessionLayer};
use tower::{Layer, ServiceExt};

pub(crate) type Body = Full<Bytes>;
pub(crate) type Answer = Response<Bytes>;

/// A store whose calls can be counted and broken, and a layer over it.
pub(crate) fn store() -> (Chaos, LayerBuilder) {
    let chaos = Chaos::new(MemoryHandler::new());
    (chaos.clone(), builder(SessionManager::new(chaos)))
}

pub(crate) fn builder(sessions: SessionManager) -> LayerBuilder {
    SessionLayer::builder(sessions).cookie(CookieConfig::new("sid").with_secure(Secure::Never))
}

/// A browser with one cookie, in front of a layer.
#[derive(Clone)]
pub(crate) struct Client {
    layer: SessionLayer,
    pub(crate) cookie: Arc<Mutex<Option<String>>>,
}

impl Client {
    pub(crate) fn new(layer: SessionLayer) -> Self {
        Self { layer, cookie: Arc::default() }
    }

    /// Sends a request that `handler` answers.
    pub(crate) async fn send<F, Fut>(&self, handler: F) -> Answer
    where
        F: FnOnce(Request<()>) -> Fut,
        Fut: Future<Output = Response<Body>>,
    {
        let mut request = Request::new(());
        if let Some(cookie) = &*self.cookie.lock().unwrap() {
            request.headers_mut().insert(COOKIE, format!("sid={cookie}").parse().unwrap());
        }
        self.send_request(request, handler).await
    }

    pub(crate) async fn send_request<F, Fut>(&self, request: Request<()>, handler: F) -> Answer
    where
        F: FnOnce(Request<()>) -> Fut,
        Fut: Future<Output = Response<Body>>,
    {
        let mut handler = Some(handler);
        let service = tower::service_fn(move |request| {
            let answer = handler.take().expect("one request")(request);
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let response = self.layer.layer(service).oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let answer = Response::from_parts(parts, body.collect().await.unwrap().to_bytes());
        if let Some(value) = set_cookie(&answer) {
            let removed = value.is_empty();
            *self.cookie.lock().unwrap() = Some(value).filter(|_| !removed);
        }
        answer
    }

    pub(crate) fn has_cookie(&self) -> bool {
        self.cookie.lock().unwrap().is_some()
    }
}

/// Returns the value of the one `Set-Cookie` field named `sid`.
pub(crate) fn set_cookie(answer: &Answer) -> Option<String> {
    let mut fields = answer.headers().get_all(SET_COOKIE).iter().filter_map(|field| {
        let value = field.to_str().unwrap().strip_prefix("sid=")?;
        Some(value.split(';').next().unwrap().to_owned())
    });
    let value = fields.next();
    assert_eq!(fields.next(), None, "two session cookies in one response");
    value
}

pub(crate) fn ok() -> Response<Body> {
    Response::new(Body::default())
}

/// Makes a handler that runs one statement on the loaded session.
#[macro_export]
macro_rules! with {
    ($session:ident => $work:expr) => {
        |request: http::Request<()>| async move {
            use session_http::RequestSessionExt;
            let $session = request.session().await.unwrap();
            let _: () = $work;
            $crate::support::ok()
        }
    };
}
