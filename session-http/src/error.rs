//! Errors of the session as responses.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use session_core::{Error, ErrorKind};

/// Returns the default response to an error of the session.
///
/// | Kind | Status |
/// | --- | --- |
/// | unavailable, timeout, degraded, storage_full, permission_denied, locked | 503 with `Retry-After: 1` |
/// | conflict, gone, too_many | 409 |
/// | too_large | 413 |
/// | all others | 500 |
///
/// The body names the kind and nothing else.
#[must_use]
pub fn default_response(err: &Error) -> Response<Bytes> {
    let kind = err.kind();
    let status = match kind {
        ErrorKind::Degraded | ErrorKind::Locked => StatusCode::SERVICE_UNAVAILABLE,
        kind if kind.is_outage() => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Conflict | ErrorKind::Gone | ErrorKind::TooMany => StatusCode::CONFLICT,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let mut response = Response::new(Bytes::from(format!("session: {kind}\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// An error of the session on its way to become a response: what an extractor
/// rejects a request with, and what a handler returns to end with `?`.
///
/// ```
/// use session_http::{Session, SessionRejection};
///
/// async fn visits(session: Session) -> Result<String, SessionRejection> {
///     let visits = session.increment("visits", 1)?;
///     Ok(format!("visit {visits}\n"))
/// }
/// ```
///
/// An error that `?` turned into this is answered with [`default_response`]. A
/// load that failed in an extractor is answered as
/// [`LayerBuilder::error_response`](crate::LayerBuilder::error_response) says, and
/// so is a save that failed after the handler. A handler that should answer the
/// same way has an error type of its own, made from [`SessionError`](crate::SessionError).
#[cfg(feature = "axum")]
#[derive(Debug)]
pub struct SessionRejection(Box<(Error, Response<Bytes>)>);

#[cfg(feature = "axum")]
impl SessionRejection {
    pub(crate) fn new(error: Error, respond: impl FnOnce(&Error) -> Response<Bytes>) -> Self {
        let response = respond(&error);
        Self(Box::new((error, response)))
    }

    /// Returns what went wrong.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.0.0
    }
}

#[cfg(feature = "axum")]
impl From<Error> for SessionRejection {
    fn from(error: Error) -> Self {
        Self::new(error, default_response)
    }
}

#[cfg(feature = "axum")]
impl axum_core::response::IntoResponse for SessionRejection {
    fn into_response(self) -> axum_core::response::Response {
        self.0.1.map(axum_core::body::Body::from)
    }
}
