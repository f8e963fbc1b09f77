//! A response, read to its end.

use bytes::Bytes;
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

/// A response, read to its end.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// Returns the body as JSON.
    ///
    /// # Panics
    ///
    /// If it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|err| panic!("not JSON ({err}): {self:?}"))
    }

    /// Returns the member `v` of a successful answer.
    ///
    /// # Panics
    ///
    /// If the status is another than 200.
    #[must_use]
    pub fn v(&self) -> Value {
        self.get("v")
    }

    /// Returns a member of a successful answer.
    ///
    /// # Panics
    ///
    /// If the status is another than 200.
    #[must_use]
    pub fn get(&self, name: &str) -> Value {
        self.ok().json()[name].clone()
    }

    /// Returns the reply itself if it is a success.
    ///
    /// # Panics
    ///
    /// If the status is another than 200.
    pub fn ok(&self) -> &Self {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        self
    }

    /// Returns status and kind of an error.
    ///
    /// # Panics
    ///
    /// If it is no error with a kind.
    #[must_use]
    pub fn error(&self) -> (u16, String) {
        let json = self.json();
        let kind = json["error"].as_str().unwrap_or_else(|| panic!("no error: {self:?}"));
        (self.status.as_u16(), kind.to_owned())
    }

    /// Returns the one `Set-Cookie` field of that name, or `None`.
    ///
    /// # Panics
    ///
    /// If there are several: no response may set one cookie twice.
    #[must_use]
    pub fn set_cookie(&self, name: &str) -> Option<String> {
        let mut found = None;
        for field in self.headers.get_all(SET_COOKIE) {
            let field = field.to_str().unwrap_or_default();
            if field.split_once('=').is_some_and(|(key, _)| key == name) {
                assert!(found.is_none(), "two cookies of one name: {self:?}");
                found = Some(field.to_owned());
            }
        }
        found
    }

    /// Returns the session cookie under the probe's default name.
    ///
    /// # Panics
    ///
    /// If there are several.
    #[must_use]
    pub fn cookie(&self) -> Option<String> {
        self.set_cookie("sid")
    }

    /// Returns an attribute of the session cookie: its value, or an empty text
    /// if it has none.
    ///
    /// # Panics
    ///
    /// If the response sets no cookie.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<String> {
        let field = self.cookie().unwrap_or_else(|| panic!("no cookie: {self:?}"));
        field.split(';').skip(1).find_map(|part| {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    }

    /// Whether the response takes the session cookie back.
    #[must_use]
    pub fn removes_cookie(&self) -> bool {
        self.cookie().is_some() && self.attribute("Max-Age").as_deref() == Some("0")
    }
}
