//! A stream of events that knows its session: it greets the user at its start,
//! saves what it changes later, and ends when the user signs out.
//!
//!     cargo run -p session-http --features axum --example sse -- [STORE] [ADDRESS]

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use futures_core::Stream;
use session_http::{CookieConfig, Secure, Session, SessionLayer, SessionManager, SessionRejection};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let store = arguments.next().unwrap_or_else(|| "memory:".into());
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".into());

    let sessions = SessionManager::new(session_http::registry().connect(&store).await?);
    let cookie = CookieConfig::new("sid").with_secure(Secure::Never);
    let layer = SessionLayer::builder(sessions).cookie(cookie).build()?;

    let app = Router::new()
        .route("/", get(page))
        .route("/events", get(events))
        .route("/sign-in", post(sign_in))
        .route("/sign-out", post(sign_out))
        .layer(layer);
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

async fn page() -> Html<&'static str> {
    Html(
        "<!doctype html><meta charset=utf-8><title>Events</title>\
         <form method=post action=/sign-in><button>Sign in</button></form>\
         <form method=post action=/sign-out><button>Sign out</button></form><pre id=log></pre>\
         <script>new EventSource('/events').onmessage = \
         e => log.textContent += e.data + '\\n'</script>",
    )
}

/// `None` for a visitor without a session: a stream is no place to begin one.
async fn events(session: Option<Session>) -> Response {
    match session {
        Some(session) => Sse::new(ticks(session)).keep_alive(KeepAlive::default()).into_response(),
        None => (StatusCode::UNAUTHORIZED, "sign in first\n").into_response(),
    }
}

/// Sends one event a second until the session ends or the client goes away.
fn ticks(session: Session) -> impl Stream<Item = Result<Event, Infallible>> {
    let (events, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let user: String = session.get("user").ok().flatten().unwrap_or_default();
        let mut text = format!("hello {user}");
        loop {
            if events.send(Ok(Event::default().data(&text))).await.is_err() {
                return;
            }
            tokio::select! {
                () = session.ended() => return,
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
            // The headers have left long ago, so this has to be saved by hand.
            let Ok(count) = session.increment("events", 1) else { return };
            if session.save().await.is_err() {
                return;
            }
            text = format!("event {count}");
        }
    });
    ReceiverStream::new(receiver)
}

async fn sign_in(session: Session) -> Result<String, SessionRejection> {
    session.regenerate()?;
    session.bind("ann")?;
    session.mark_authenticated()?;
    session.set("user", "ann")?;
    Ok("signed in\n".into())
}

async fn sign_out(session: Session) -> Result<String, SessionRejection> {
    session.destroy()?;
    Ok("signed out\n".into())
}
