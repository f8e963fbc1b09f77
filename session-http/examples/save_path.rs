//! Where session files are kept.
//!
//!     cargo run -p session-http --features axum --example save_path -- [FOLDER] [ADDRESS]

use axum::Router;
use axum::routing::get;
use session_http::{CookieConfig, Secure, Session, SessionLayer, SessionManager, SessionRejection};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().unwrap_or_else(|| "/tmp/session".into());
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".into());

    // The folder is created for this user alone. One that others can write to is refused.
    let store = format!("file:{folder}?session.durability=process");
    let sessions = SessionManager::new(session_http::registry().connect(&store).await?);
    let cookie = CookieConfig::new("sid").with_secure(Secure::Never);
    let layer = SessionLayer::builder(sessions).cookie(cookie).build()?;

    let app = Router::new().route("/", get(name)).layer(layer);
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

async fn name(session: Session) -> Result<String, SessionRejection> {
    session.set("name", "Tom")?;
    let name: Option<String> = session.get("name")?;
    Ok(name.unwrap_or_default() + "\n")
}
