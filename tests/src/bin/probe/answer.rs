//! JSON answers.

use std::any::Any;

use axum::Json;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};
use session_core::{Error, ErrorKind};

/// What a route returns.
pub(crate) type Answer = Result<Json<Value>, Refusal>;

/// Returns `{"v": value}`.
#[expect(clippy::unnecessary_wraps, reason = "routes end with it")]
pub(crate) fn value(value: impl Into<Option<session_core::Value>>) -> Answer {
    Ok(Json(json!({ "v": value.into() })))
}

/// Returns `{}`.
#[expect(clippy::unnecessary_wraps, reason = "routes end with it")]
pub(crate) fn done() -> Answer {
    Ok(Json(json!({})))
}

/// An answer that is an error.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    error: &'static str,
}

impl Refusal {
    /// Refuses a request that the contract does not know.
    pub(crate) const fn bad_request(error: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error }
    }

    /// Returns the body.
    pub(crate) fn body(&self) -> Value {
        json!({ "error": self.error })
    }
}

impl From<Error> for Refusal {
    fn from(err: Error) -> Self {
        Self { status: status(err.kind()), error: err.kind().as_str() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(self.body())).into_response()
    }
}

/// Answers for the session layer, when a load or a save fails.
pub(crate) fn of_layer(err: &Error) -> Response<Bytes> {
    let body = json!({ "error": err.kind().as_str() });
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status(err.kind());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Answers in place of a handler that has panicked.
pub(crate) fn of_panic(_: Box<dyn Any + Send>) -> Response {
    let error = ErrorKind::Internal;
    Refusal { status: status(error), error: error.as_str() }.into_response()
}

fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Conflict | ErrorKind::TooMany => StatusCode::CONFLICT,
        ErrorKind::Gone => StatusCode::GONE,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::TypeMismatch => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::Locked => StatusCode::LOCKED,
        ErrorKind::Degraded => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::InvalidInput => StatusCode::BAD_REQUEST,
        kind if kind.is_outage() => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
