//! What caches have to be told.

use http::header::{CACHE_CONTROL, COOKIE, VARY};
use http::{HeaderMap, HeaderName, HeaderValue};
use session_core::CookieAction;

/// Keeps shared caches from handing one visitor's response to another.
///
/// A `Cache-Control` that the handler has set stays if it keeps them out itself.
pub(crate) fn mark_private(headers: &mut HeaderMap, varies: &HeaderName, action: &CookieAction) {
    if !headers.get_all(VARY).iter().any(|field| lists(field, varies)) {
        let value = match *varies == COOKIE {
            true => HeaderValue::from_static("Cookie"),
            false => HeaderValue::from_name(varies.clone()),
        };
        headers.append(VARY, value);
    }
    if !headers.get_all(CACHE_CONTROL).iter().any(is_private) {
        // OWASP ASVS 5.0 (14.3.2): a response that carries an id is not stored anywhere.
        let control = match action {
            CookieAction::Keep => "private, no-cache",
            _ => "no-store",
        };
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(control));
    }
}

/// Whether a `Cache-Control` field keeps the whole response out of shared caches.
/// `private="a-field"` does not.
fn is_private(field: &HeaderValue) -> bool {
    items(field).any(|directive| {
        directive.eq_ignore_ascii_case(b"private") || directive.eq_ignore_ascii_case(b"no-store")
    })
}

/// Whether a `Vary` field lists a header, or all of them.
fn lists(field: &HeaderValue, header: &HeaderName) -> bool {
    items(field).any(|name| name == b"*" || name.eq_ignore_ascii_case(header.as_str().as_bytes()))
}

/// Cuts a field at its commas.
fn items(field: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    field.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}
