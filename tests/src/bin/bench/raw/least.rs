//! What no session system leaves out that keeps its promises: a layer that hands
//! something to handlers, headers that keep shared caches away, and ids that the
//! store does not know.

use std::task::{Context, Poll};

use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, VARY};
use axum::response::Response;
use data_encoding::HEXLOWER;
use futures_util::TryFutureExt;
use futures_util::future::MapOk;
use sha2::{Digest, Sha256};
use tower_layer::Layer;
use tower_service::Service;

/// The layer, and what it hands over.
#[derive(Clone, Copy)]
pub(crate) struct Least;

impl Least {
    /// Returns what the store knows a session by: behind such a layer a hash of
    /// its id.
    pub(super) fn key(handed: Option<&Self>, id: String) -> String {
        match handed {
            Some(_) => HEXLOWER.encode(&Sha256::digest(id)[..16]),
            None => id,
        }
    }
}

impl<S> Layer<S> for Least {
    type Service = WithLeast<S>;

    fn layer(&self, inner: S) -> WithLeast<S> {
        WithLeast(inner)
    }
}

#[derive(Clone)]
pub(crate) struct WithLeast<S>(S);

impl<S: Service<Request, Response = Response>> Service<Request> for WithLeast<S> {
    type Response = Response;
    type Error = S::Error;
    type Future = MapOk<S::Future, fn(Response) -> Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        request.extensions_mut().insert(Least);
        self.0.call(request).map_ok(mark_private)
    }
}

fn mark_private(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("Cookie"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response
}
