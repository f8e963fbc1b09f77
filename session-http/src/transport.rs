//! How the id travels between client and server.

use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};
use session_core::{CookieAction, SessionId};
use smallvec::SmallVec;

use crate::cookie::Cookies;

/// The ids in a request: mostly one.
pub(crate) type Ids = SmallVec<[SessionId; 1]>;

/// How the id travels. Several may stand side by side: the first that a
/// request uses counts, and answers. A request uses one if it has the cookie,
/// credentials of the scheme `Bearer`, or something in the header: the cookies
/// and credentials of others hide nothing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Transport {
    /// In a cookie. The default.
    Cookie,
    /// In a header of this name, both ways; an empty one takes the id back. For
    /// clients that are not browsers.
    Header(HeaderName),
    /// In `Authorization: Bearer`, and back in a header of this name, where an
    /// empty one takes the id back.
    Bearer(HeaderName),
}

impl Transport {
    /// Returns the request header that this transport reads.
    pub(crate) fn request_header(&self) -> &HeaderName {
        match self {
            Self::Cookie => &COOKIE,
            Self::Header(name) => name,
            Self::Bearer(_) => &AUTHORIZATION,
        }
    }

    /// Returns whether header fields of a request hold something for us. Cookies
    /// and credentials of others do not.
    pub(crate) fn is_used(&self, fields: &[HeaderValue], cookies: &Cookies) -> bool {
        match self {
            Self::Cookie => cookies.is_among(fields),
            Self::Header(_) => fields.iter().any(|field| !field.as_bytes().trim_ascii().is_empty()),
            Self::Bearer(_) => {
                fields.iter().filter_map(|field| field.to_str().ok()).any(|f| bearer(f).is_some())
            }
        }
    }

    /// Returns the ids in a request's header fields.
    pub(crate) fn ids(&self, fields: &[HeaderValue], cookies: &Cookies) -> Ids {
        match self {
            Self::Cookie => cookies.ids(fields),
            Self::Header(_) => one_id(fields, |field| Some(field)),
            Self::Bearer(_) => one_id(fields, bearer),
        }
    }

    /// Tells the client in response headers.
    pub(crate) fn tell(
        &self,
        action: &CookieAction,
        headers: &mut HeaderMap,
        cookies: &Cookies,
        https: bool,
    ) {
        let name = match self {
            Self::Cookie => return cookies.tell(action, headers, https),
            Self::Header(name) | Self::Bearer(name) => name,
        };
        let value = match action {
            CookieAction::Set { id, .. } => {
                let Ok(mut value) = HeaderValue::from_str(id.expose()) else { return };
                value.set_sensitive(true);
                value
            }
            CookieAction::Remove => HeaderValue::from_static(""),
            _ => return,
        };
        headers.insert(name.clone(), value);
    }
}

/// Reads the id from the only field there may be.
fn one_id(fields: &[HeaderValue], extract: impl for<'a> Fn(&'a str) -> Option<&'a str>) -> Ids {
    let [field] = fields else { return Ids::new() };
    let text = field.to_str().ok().and_then(extract);
    text.and_then(|text| SessionId::parse(text).ok()).into_iter().collect()
}

/// Takes the credentials out of `Bearer …`; the scheme has no case (RFC 9110, 11.1).
fn bearer(field: &str) -> Option<&str> {
    let (scheme, token) = field.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start())
}
