//! Extractors for axum.

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;
use session_core::{Error, Status};

use crate::installed::Installed;
use crate::{LazySession, Session, SessionRejection};

/// Loads the session. Without a [`SessionLayer`](crate::SessionLayer), or if the
/// store is down, the request is answered with the error.
///
/// axum runs this before the request's body has come. An exclusive session is
/// locked from then on, however slow the client sends: a handler that takes a
/// body takes [`LazySession`] beside it and loads when the body is there.
impl<S: Sync> FromRequestParts<S> for Session {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, SessionRejection> {
        let lazy = find(parts)?;
        let respond = |error: &Error| (lazy.0.settings.error_response)(error);
        lazy.load().await.map_err(|error| SessionRejection::new(error, respond))
    }
}

/// Loads the session; `None` if the client has none, so that none is made: it is
/// new, its id is unknown or its session is over, or the request lies outside of
/// the cookie's path. A request that is served though the store is down has
/// `Some` session, with [`Status::Degraded`].
impl<S: Sync> OptionalFromRequestParts<S> for Session {
    type Rejection = SessionRejection;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &S,
    ) -> Result<Option<Self>, SessionRejection> {
        if !find(parts)?.is_covered() {
            return Ok(None);
        }
        let session = <Self as FromRequestParts<S>>::from_request_parts(parts, state).await?;
        let absent = matches!(session.status(), Status::New | Status::Unknown | Status::Expired);
        Ok((!absent).then_some(session))
    }
}

/// Returns the session without loading it.
impl<S: Sync> FromRequestParts<S> for LazySession {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, SessionRejection> {
        find(parts)
    }
}

/// Returns the session without loading it; `None` without a layer.
impl<S: Sync> OptionalFromRequestParts<S> for LazySession {
    type Rejection = SessionRejection;

    async fn from_request_parts(
        parts: &mut Parts,
        _: &S,
    ) -> Result<Option<Self>, SessionRejection> {
        Installed::is_any(&parts.extensions).then(|| find(parts)).transpose()
    }
}

fn find(parts: &Parts) -> Result<LazySession, SessionRejection> {
    Ok(Installed::find(&parts.extensions, None)?)
}
