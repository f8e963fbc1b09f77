//! Whether a request came over HTTPS.

use http::Request;
use http::uri::Scheme;

/// Marks a request that came over HTTPS, as one of its extensions.
///
/// For programs that speak TLS themselves: a request over HTTP/1.1 names no scheme
/// in its URI, so that only the acceptor knows. Whoever serves the connection marks
/// its requests, before they reach the [`SessionLayer`](crate::SessionLayer):
///
/// ```
/// use axum::{Extension, Router};
/// use session_http::session_core::MemoryHandler;
/// use session_http::{CookieConfig, Https, Secure, SessionLayer, SessionManager};
///
/// let sessions = SessionManager::new(MemoryHandler::new());
/// let cookie = CookieConfig::new("sid").with_secure(Secure::Auto);
/// let layer = SessionLayer::builder(sessions).cookie(cookie).build()?;
/// let app: Router = Router::new().layer(layer);
///
/// // One application on two listeners.
/// let over_tls = app.clone().layer(Extension(Https));
/// let plain = app;
/// # Ok::<(), session_http::SessionError>(())
/// ```
///
/// Elsewhere it is `request.extensions_mut().insert(Https)`. Behind a proxy that speaks
/// TLS for the program, set [`trust_proxy`](crate::LayerBuilder::trust_proxy) instead:
/// what a trusted proxy says counts for more than this mark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Https;

/// Returns whether a request came over HTTPS: a trusted proxy knows best, then
/// the acceptor, then the URI.
pub(crate) fn is_https<B>(request: &Request<B>, trust_proxy: bool) -> bool {
    if trust_proxy && let Some(field) = request.headers().get("x-forwarded-proto") {
        let first = field.as_bytes().split(|byte| *byte == b',').next().unwrap_or_default();
        return first.trim_ascii().eq_ignore_ascii_case(b"https");
    }
    request.extensions().get::<Https>().is_some() || request.uri().scheme() == Some(&Scheme::HTTPS)
}
