//! Errors of the session as axum's rejections.

use std::fmt;

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
///
/// It is an [`Error`](std::error::Error) whose source is [the session's](Self::error),
/// so that it also fits into the error type of an application:
///
/// ```
/// use session_http::{Session, SessionRejection};
///
/// #[derive(Debug, thiserror::Error)]
/// enum Failure {
///     #[error("no such page")]
///     NoPage,
///     #[error("no session")]
///     Session(#[from] SessionRejection),
/// }
///
/// async fn page(session: Result<Session, SessionRejection>) -> Result<i64, Failure> {
///     let visits = session?.increment("visits", 1).map_err(SessionRejection::from)?;
///     if visits > 100 { Err(Failure::NoPage) } else { Ok(visits) }
/// }
/// ```
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

/// Says what kind of error it is; the source says the rest.
impl fmt::Display for SessionRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session: {}", self.error().kind())
    }
}

impl std::error::Error for SessionRejection {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.error())
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

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use session_core::{ErrorKind, Operation};

    use super::*;

    #[test]
    fn it_is_an_error_whose_source_is_the_sessions() {
        let err = Error::new(ErrorKind::Timeout, Operation::Read, "no reply in 500ms");
        let text = err.to_string();
        let rejection = SessionRejection::from(err);
        assert_eq!(rejection.to_string(), "session: timeout");
        assert_eq!(rejection.source().unwrap().to_string(), text);
        assert!(rejection.source().unwrap().is::<Error>());
    }
}
