//! A site in this process: a client, the layer, a handler, and a store whose
//! calls are counted.

use std::convert::Infallible;

use bytes::Bytes;
use http::header::{COOKIE, SET_COOKIE};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use session_core::testkit::Chaos;
use session_core::{MemoryHandler, SessionManager};
use session_http::{LayerBuilder, SessionLayer};
use tower::{Layer, ServiceExt, service_fn};

pub(crate) type Answer = Response<Bytes>;

/// A store whose calls are counted, and the layer of a site on it.
pub(crate) fn site() -> (Chaos, LayerBuilder) {
    let chaos = Chaos::new(MemoryHandler::new());
    (chaos.clone(), SessionLayer::builder(SessionManager::new(chaos)))
}

/// Sends a request that a handler answers with a text.
pub(crate) async fn send<F, Fut>(layer: &SessionLayer, request: Request<()>, handler: F) -> Answer
where
    F: FnOnce(Request<()>) -> Fut,
    Fut: Future<Output = Response<Full<Bytes>>>,
{
    let mut handler = Some(handler);
    let service = service_fn(move |request| {
        let answer = handler.take().expect("one request")(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let response = layer.layer(service).oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}

pub(crate) fn text(text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    Response::new(Full::new(text.into()))
}

/// Makes a request that has this `Cookie` field.
pub(crate) fn request(cookie: &[u8]) -> Request<()> {
    let mut request = Request::new(());
    request.headers_mut().insert(COOKIE, http::HeaderValue::from_bytes(cookie).unwrap());
    request
}

/// Returns what a client sends back of a response: name and value.
pub(crate) fn cookie(answer: &Answer) -> Option<String> {
    let field = answer.headers().get(SET_COOKIE)?.to_str().unwrap();
    Some(field.split(';').next().unwrap().to_owned())
}
