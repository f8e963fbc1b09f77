//! An engine of one's own, as its author would publish it, and its use.
//!
//!     cargo run -p session-http --features axum --example own_handler -- [ADDRESS]

mod my_handler;

use axum::Router;
use axum::routing::get;
use session_http::{
    CookieConfig, Secure, Session, SessionLayer, SessionManager, SessionRejection, registry,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".into());

    // The one line that puts the engine in.
    let registry = registry().with(my_handler::MyFactory);
    let handler = registry.connect("my:?session.host=localhost").await?;
    let cookie = CookieConfig::new("sid").with_secure(Secure::Never);
    let layer = SessionLayer::builder(SessionManager::new(handler)).cookie(cookie).build()?;

    let app = Router::new().route("/", get(visits)).layer(layer);
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

async fn visits(session: Session) -> Result<String, SessionRejection> {
    let visits = session.increment("visits", 1)?;
    Ok(format!("{visits}\n"))
}
