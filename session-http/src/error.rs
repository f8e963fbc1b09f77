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
/// | invalid_input | 400 |
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
        ErrorKind::InvalidInput => StatusCode::BAD_REQUEST,
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

#[cfg(test)]
mod tests {
    use session_core::Operation;

    use super::*;

    #[test]
    fn the_status_says_whose_fault_it_is() {
        for (kind, status) in [
            (ErrorKind::Unavailable, 503),
            (ErrorKind::Timeout, 503),
            (ErrorKind::Degraded, 503),
            (ErrorKind::StorageFull, 503),
            (ErrorKind::PermissionDenied, 503),
            (ErrorKind::Locked, 503),
            (ErrorKind::InvalidInput, 400),
            (ErrorKind::Conflict, 409),
            (ErrorKind::Gone, 409),
            (ErrorKind::TooMany, 409),
            (ErrorKind::TooLarge, 413),
            (ErrorKind::InvalidConfig, 500),
            (ErrorKind::Internal, 500),
        ] {
            let response = default_response(&Error::new(kind, Operation::Read, "secret"));
            assert_eq!(response.status(), status, "{kind}");
            assert_eq!(response.headers().contains_key(RETRY_AFTER), status == 503, "{kind}");
            assert_eq!(response.body(), &format!("session: {kind}\n"));
        }
    }
}
