//! Several operations in one request, and requests that do not go straight.

use std::convert::Infallible;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use session_http::{LazySession, Session};

use crate::answer::{Answer, Refusal};
use crate::app::App;
use crate::ops;
use crate::query::Query;

pub(crate) async fn several(session: Session, query: Query) -> Answer {
    Ok(Json(ops::run(&session, &query.text("ops")).await?))
}

/// Loads the session, waits at a barrier, goes on.
pub(crate) async fn hold(State(app): State<App>, lazy: LazySession, query: Query) -> Answer {
    let session = match &*query.text("mode") {
        "" | "rw" => lazy.load().await?,
        "ro" => lazy.load_read_only().await?,
        _ => return Err(Refusal::bad_request("mode is rw or ro")),
    };
    app.barriers.pass(&query.text("b")).await;
    Ok(Json(ops::run(&session, &query.text("ops")).await?))
}

/// Sends headers and a chunk, then does the operations, then sends their
/// results. The chunks together are one JSON text.
pub(crate) async fn stream(session: Session, query: Query) -> Response {
    let ops = query.text("ops").into_owned();
    let results = async move {
        // The server flushes what it has when there is nothing more at hand.
        tokio::task::yield_now().await;
        let results = ops::run(&session, &ops).await.unwrap_or_else(|refusal| refusal.body());
        Bytes::from(results.to_string())
    };
    let chunks = stream::iter([Bytes::from_static(b"\n")]).chain(stream::once(results));
    let body = Body::from_stream(chunks.map(Ok::<_, Infallible>));
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

pub(crate) async fn status(session: Session, query: Query) -> Result<Response, Refusal> {
    let code = u16::try_from(query.number("code")?).ok();
    let code = code.and_then(|code| StatusCode::from_u16(code).ok());
    let code = code.ok_or(Refusal::bad_request("code is an HTTP status"))?;
    Ok((code, Json(ops::run(&session, &query.text("ops")).await?)).into_response())
}

pub(crate) async fn panic(session: Session, query: Query) -> Answer {
    ops::run(&session, &query.text("ops")).await?;
    panic!("asked for by the request")
}
