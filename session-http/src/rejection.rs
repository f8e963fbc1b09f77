//! Errors of the session as axum's rejections.

use axum_core::body::Body;
use axum_core::response::IntoResponse;
use bytes::Bytes;
use http::Response;
use session_core::Error;

use crate::default_response;

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
#[derive(Debug)]
pub struct SessionRejection(Box<(Error, Response<Bytes>)>);

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

impl From<Error> for SessionRejection {
    fn from(error: Error) -> Self {
        Self::new(error, default_response)
    }
}

impl IntoResponse for SessionRejection {
    fn into_response(self) -> axum_core::response::Response {
        self.0.1.map(Body::from)
    }
}
