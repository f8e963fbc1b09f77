//! A web site in the test's own process.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::routing::get;
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderValue, Request, StatusCode};
use session_core::{SessionHandler, SessionManager};
use session_http::{CookieConfig, Secure, Session, SessionLayer};
use tower_service::Service;

/// A web site over a store, and a visitor with one cookie. Nothing listens
/// anywhere, so that what the store is sent is all that a request costs.
///
/// `/untouched` leaves the session alone, `/read` tells a counter in it, and
/// `/change` tells it after it has added one.
#[derive(Debug)]
pub struct Page {
    app: Router,
    cookie: Option<HeaderValue>,
}

impl Page {
    /// Makes a site under the default policy.
    ///
    /// # Panics
    ///
    /// If the layer refuses its settings.
    #[must_use]
    pub fn new(handler: impl SessionHandler) -> Self {
        let cookie = CookieConfig::new("sid").with_secure(Secure::Never);
        let layer = SessionLayer::builder(SessionManager::new(handler)).cookie(cookie).build();
        let app = Router::new()
            .route("/untouched", get(async || "untouched"))
            .route("/read", get(read))
            .route("/change", get(change))
            .layer(layer.expect("settings that hold"));
        Self { app, cookie: None }
    }

    /// Returns another visitor, without a cookie.
    #[must_use]
    pub fn stranger(&self) -> Self {
        Self { app: self.app.clone(), cookie: None }
    }

    /// Visits a page with the cookie that the last answer with one has set.
    ///
    /// # Panics
    ///
    /// If the answer is none that a browser could read.
    pub async fn get(&mut self, path: &str) -> (StatusCode, String) {
        let mut request = Request::builder().uri(path);
        if let Some(cookie) = &self.cookie {
            request = request.header(COOKIE, cookie);
        }
        let request = request.body(Body::empty()).expect("a request");
        let Ok(response) = self.app.call(request).await;
        if let Some(set) = response.headers().get(SET_COOKIE) {
            let text = set.to_str().expect("a cookie of plain text");
            let pair = text.split(';').next().unwrap_or_default();
            self.cookie = Some(pair.parse().expect("a cookie that can be sent back"));
        }
        let status = response.status();
        let body = to_bytes(response.into_body(), 1 << 16).await.expect("a body");
        (status, String::from_utf8_lossy(&body).into_owned())
    }
}

async fn read(session: Session) -> String {
    let count: Option<i64> = session.get("count").expect("a number");
    count.unwrap_or_default().to_string()
}

async fn change(session: Session) -> String {
    session.increment("count", 1).expect("a number").to_string()
}
