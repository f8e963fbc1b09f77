//! A page to sign in, see one's session, and sign out.
//!
//!     cargo run -p session-http --features axum --example counter -- [STORE] [ADDRESS]
//!
//! STORE is the URI of any enabled engine. The default is a folder of files.

use std::process::ExitCode;
use std::time::Duration;

use axum::extract::Form;
use axum::response::{Html, Redirect};
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde::Deserialize;
use session_http::session_core::Gc;
use session_http::{CookieConfig, Secure, Session, SessionLayer, SessionManager, SessionRejection};

#[derive(Clone)]
struct Engine(&'static str);

#[derive(Deserialize)]
struct SignIn {
    name: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("{err}");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let store = arguments.next().unwrap_or_else(|| "file:sessions".into());
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".into());

    let sessions = SessionManager::new(session_http::registry().connect(&store).await?);
    let engine = Engine(sessions.handler().info().name);
    let gc = Gc::spawn(&sessions, Duration::from_secs(600))?;
    // Without TLS on 127.0.0.1 there can be no `Secure` cookie: a real site keeps the default.
    let cookie = CookieConfig::new("sid").with_secure(Secure::Never);
    let layer = SessionLayer::builder(sessions).cookie(cookie).build()?;

    let app = Router::new()
        .route("/", get(page))
        .route("/somekey", get(somekey))
        .route("/sign-in", post(sign_in))
        .route("/sign-out", post(sign_out))
        .layer(layer)
        .layer(Extension(engine));
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    gc.stop();
    Ok(())
}

/// Sets a random number and answers with it.
async fn somekey(session: Session) -> Result<String, SessionRejection> {
    session.set("somekey", random())?;
    let somekey: Option<u32> = session.get("somekey")?;
    Ok(format!("{}\n", somekey.unwrap_or_default()))
}

async fn page(
    session: Session,
    Extension(Engine(engine)): Extension<Engine>,
) -> Result<Html<String>, SessionRejection> {
    let visits = session.increment("visits", 1)?;
    let notice: String = session.flashed("notice")?.unwrap_or_default();
    let user: Option<String> = session.get("user")?;
    let form = match &user {
        Some(_) => "<form method=post action=/sign-out><button>Sign out</button></form>".into(),
        None => String::from(
            "<form method=post action=/sign-in><input name=name placeholder=Name required> \
             <button>Sign in</button></form>",
        ),
    };
    let mut rows = String::new();
    for key in session.keys()? {
        let value = match session.get::<serde_json::Value>(key.as_str())? {
            Some(serde_json::Value::String(text)) => text,
            other => other.unwrap_or_default().to_string(),
        };
        rows += &format!("<tr><th>{}<td>{}", escape(&key), escape(&value));
    }
    Ok(Html(format!(
        "<!doctype html><meta charset=utf-8><title>Session</title>\
         <style>body{{font:1em/1.5 system-ui;margin:3em auto;max-width:30em}}\
         th{{text-align:left;padding-right:1em}}</style>\
         <h1>Hello, {}</h1><p id=notice>{}</p><p>Visit <b id=visits>{visits}</b>, \
         kept by the <b id=engine>{engine}</b> engine.</p>{form}<table>{rows}</table>",
        escape(user.as_deref().unwrap_or("stranger")),
        escape(&notice),
    )))
}

async fn sign_in(session: Session, Form(form): Form<SignIn>) -> Result<Redirect, SessionRejection> {
    // What another user has left here is not for this one: it ends, and a new session begins.
    if session.owner().is_some_and(|owner| owner.as_str() != form.name) {
        session.destroy()?;
    }
    // A new id at every change of privilege: one that was planted before is worth nothing.
    session.regenerate()?;
    session.bind(&form.name)?;
    session.mark_authenticated()?;
    session.set("user", &form.name)?;
    session.flash("notice", "You are signed in.")?;
    Ok(Redirect::to("/"))
}

async fn sign_out(session: Session) -> Result<Redirect, SessionRejection> {
    session.destroy()?;
    Ok(Redirect::to("/"))
}

fn random() -> u32 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0) as u32
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
