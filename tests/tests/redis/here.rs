//! Handlers on the shared servers, each with a prefix of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use session_core::SessionHandler;
use session_tests::servers::Shared;

static PREFIXES: AtomicU32 = AtomicU32::new(0);

/// Returns a prefix that no other test has, not even of another run.
pub(crate) fn prefix() -> String {
    let number = PREFIXES.fetch_add(1, Ordering::Relaxed);
    format!("{}-{number}-{:08x}:", std::process::id(), fastrand::u32(..))
}

/// Adds options to a URI.
pub(crate) fn with(url: &str, options: &str) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    if options.is_empty() { url.to_owned() } else { format!("{url}{separator}{options}") }
}

/// Returns a handler on an empty part of a shared server. A prefix among the
/// options stands in front of that part's own.
pub(crate) async fn handler(server: Shared, options: &str) -> Arc<dyn SessionHandler> {
    let (options, tag) = options.split_once("session.prefix=").unwrap_or((options, ""));
    let prefix = format!("session.prefix={tag}{}", prefix());
    let uri = with(&with(&server.url(), options.trim_end_matches('&')), &prefix);
    session_http::registry().connect(&uri).await.expect("the server")
}
