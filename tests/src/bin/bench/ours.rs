//! The server with this project's sessions.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use session_http::{Session, SessionError, SessionLayer};

use crate::contender::large;
use crate::serve::failed;

pub(crate) async fn router(uri: &str) -> Result<Router, SessionError> {
    let layer = SessionLayer::connect(uri).await?;
    let collect = {
        let sessions = layer.sessions().clone();
        get(async move || crate::collect::all(&sessions).await.map_err(failed))
    };
    Ok(Router::new()
        .route("/none", get(async || "ok\n"))
        .route("/read", get(read))
        .route("/big", get(big))
        .route("/change", get(change))
        .route("/new", get(new))
        .route("/fill", get(fill))
        .layer(layer)
        .route("/collect", collect))
}

async fn read(session: Session) -> Result<String, StatusCode> {
    let n: Option<i64> = session.get("n").map_err(failed)?;
    Ok(format!("{}\n", n.unwrap_or_default()))
}

async fn big(session: Session) -> Result<String, StatusCode> {
    let text: Option<String> = session.get("key25").map_err(failed)?;
    Ok(format!("{}\n", text.unwrap_or_default().len()))
}

async fn change(session: Session) -> Result<String, StatusCode> {
    let n = session.increment("n", 1).map_err(failed)?;
    Ok(format!("{n}\n"))
}

async fn new(session: Session) -> Result<&'static str, StatusCode> {
    session.set("n", 1).map_err(failed)?;
    Ok("ok\n")
}

async fn fill(session: Session) -> Result<&'static str, StatusCode> {
    for (key, text) in large() {
        session.set(&key, text).map_err(failed)?;
    }
    Ok("ok\n")
}
