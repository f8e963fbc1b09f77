//! The attributes of the session cookie, and which of them go together.

use serde::Deserialize;
use session_core::{Error, ErrorKind, Operation, Result};

/// The longest attribute value that user agents take (RFC 6265bis, 5.6).
const MAX_ATTRIBUTE: usize = 1024;
/// The longest name, so that name and value stay far below the 4096 bytes that
/// user agents take together.
const MAX_NAME: usize = 256;

/// The attributes of the session cookie.
///
/// The defaults are what OWASP ASVS 5.0 (3.3.1 to 3.3.4) asks for: the name
/// `__Host-sid`, `Secure`, `HttpOnly`, `SameSite=Lax`, `Path=/` and no `Domain`.
/// Checked when the layer is built: combinations that a browser would refuse
/// are errors.
///
/// ```
/// use session_http::{CookieConfig, SameSite};
///
/// let cookie = CookieConfig::new("__Secure-shop").with_domain("example.org");
/// assert!(cookie.check().is_ok());
///
/// let cookie = CookieConfig::new("__Host-shop").with_domain("example.org");
/// assert!(cookie.check().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct CookieConfig {
    /// The name. Default `__Host-sid`.
    pub name: String,
    /// The path below which the client sends it. Default `/`.
    pub path: String,
    /// The domain whose hosts get it. Default `None`: this host alone.
    pub domain: Option<String>,
    /// Whether it travels over HTTPS only. Default [`Secure::Always`].
    pub secure: Secure,
    /// Whether scripts cannot see it. Default yes.
    pub http_only: bool,
    /// Which cross-site requests carry it. Default [`SameSite::Lax`].
    pub same_site: SameSite,
    /// Whether it is kept apart by the site that embeds this one (CHIPS). Default no.
    pub partitioned: bool,
}

impl Default for CookieConfig {
    fn default() -> Self {
        Self {
            name: "__Host-sid".into(),
            path: "/".into(),
            domain: None,
            secure: Secure::Always,
            http_only: true,
            same_site: SameSite::Lax,
            partitioned: false,
        }
    }
}

/// Whether the cookie has the attribute `Secure`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Secure {
    /// Always.
    #[default]
    Always,
    /// If the request came over HTTPS, as a trusted proxy, the mark
    /// [`Https`](crate::Https) or the URI says.
    ///
    /// **Warning**: requests over HTTP/1.1 name no scheme in their URI. A program that
    /// speaks TLS itself marks them as [`Https`](crate::Https), or the cookie goes out
    /// without `Secure`.
    Auto,
    /// Never: for development without TLS.
    Never,
}

/// Which cross-site requests carry the cookie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SameSite {
    /// No cross-site request, not even a followed link.
    Strict,
    /// Links from elsewhere, but no forms or embedded content.
    #[default]
    Lax,
    /// All. Needs `Secure`.
    ///
    /// **Warning**: any site can then make the client send the cookie with a request of
    /// its choice. Give forms and scripts a token that such a request does not have.
    None,
    /// `None` over HTTPS, else `Lax`.
    ///
    /// **Warning**: over HTTPS this is [`None`](Self::None), with all that it opens.
    Auto,
}

impl CookieConfig {
    /// Uses the defaults under another name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Sets the path below which the client sends it. Requests elsewhere have no session.
    #[must_use]
    pub fn with_path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Sets the domain whose hosts get it.
    ///
    /// **Warning**: every host below the domain then sees the id and can plant one.
    #[must_use]
    pub fn with_domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Sets whether it travels over HTTPS only.
    ///
    /// **Warning**: without, anyone on the way can read the id and take the session over.
    #[must_use]
    pub const fn with_secure(mut self, secure: Secure) -> Self {
        self.secure = secure;
        self
    }

    /// Sets whether scripts cannot see it.
    ///
    /// **Warning**: without, one script injection is enough to steal the session.
    #[must_use]
    pub const fn with_http_only(mut self, http_only: bool) -> Self {
        self.http_only = http_only;
        self
    }

    /// Sets which cross-site requests carry it.
    ///
    /// **Warning**: with [`SameSite::None`], and over HTTPS with [`SameSite::Auto`], any
    /// site can make the client send it.
    #[must_use]
    pub const fn with_same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// Sets whether it is kept apart by the site that embeds this one.
    #[must_use]
    pub const fn with_partitioned(mut self, partitioned: bool) -> Self {
        self.partitioned = partitioned;
        self
    }

    /// Checks that a browser would take the cookie.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfig`], saying which settings contradict each other.
    pub fn check(&self) -> Result<()> {
        self.check_texts()?;
        let secure = self.secure == Secure::Always;
        let prefix = |prefix: &str| {
            let start = self.name.get(..prefix.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        // Browsers compare prefixes without regard to case.
        if (prefix("__Host-") || prefix("__Secure-") || prefix("__Http-")) && !secure {
            return invalid("a cookie named __Host-, __Secure- or __Http- must be always secure");
        }
        if (prefix("__Http-") || prefix("__Host-Http-")) && !self.http_only {
            return invalid("a cookie named __Http- or __Host-Http- must be HttpOnly");
        }
        if prefix("__Host-") && self.domain.is_some() {
            return invalid("a cookie named __Host- cannot have a domain");
        }
        if prefix("__Host-") && self.path != "/" {
            return invalid("a cookie named __Host- must have the path /");
        }
        if self.same_site == SameSite::None && !secure {
            return invalid("SameSite=None needs an always secure cookie");
        }
        if self.partitioned && !secure {
            return invalid("a partitioned cookie must be always secure");
        }
        Ok(())
    }

    fn check_texts(&self) -> Result<()> {
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if self.name.is_empty() || self.name.len() > MAX_NAME || !self.name.bytes().all(token) {
            return invalid("a cookie's name is 1 to 256 letters, digits or !#$%&'*+-.^_`|~");
        }
        let plain = |b: u8| (b' '..=b'~').contains(&b) && b != b';';
        if !self.path.starts_with('/')
            || self.path.len() > MAX_ATTRIBUTE
            || !self.path.bytes().all(plain)
        {
            return invalid("a cookie's path begins with / and has at most 1024 plain characters");
        }
        let host = |b: u8| b.is_ascii_alphanumeric() || b"-.".contains(&b);
        if self.domain.as_ref().is_some_and(|domain| {
            domain.is_empty() || domain.len() > 253 || !domain.bytes().all(host)
        }) {
            return invalid("a cookie's domain is a host name in ASCII");
        }
        Ok(())
    }

    /// Returns whether a request path lies below the cookie's (RFC 6265bis, 5.1.4).
    pub(crate) fn covers(&self, path: &str) -> bool {
        path.strip_prefix(&self.path).is_some_and(|rest| {
            rest.is_empty() || rest.starts_with('/') || self.path.ends_with('/')
        })
    }
}

fn invalid(message: &'static str) -> Result<()> {
    Err(Error::new(ErrorKind::InvalidConfig, Operation::Configure, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> CookieConfig {
        CookieConfig::default()
    }

    fn plain() -> CookieConfig {
        CookieConfig::new("sid").with_secure(Secure::Never)
    }

    #[test]
    fn what_browsers_refuse_is_refused() {
        for bad in [
            host().with_domain("example.org"),
            host().with_path("/admin"),
            host().with_secure(Secure::Never),
            host().with_secure(Secure::Auto),
            CookieConfig { name: "__hOsT-sid".into(), ..host().with_domain("example.org") },
            CookieConfig::new("__SECURE-sid").with_secure(Secure::Never),
            CookieConfig::new("__Http-sid").with_http_only(false),
            CookieConfig::new("__Host-Http-sid").with_http_only(false),
            plain().with_same_site(SameSite::None),
            plain().with_partitioned(true),
            CookieConfig::new(""),
            CookieConfig::new("a b"),
            CookieConfig::new("a=b"),
            CookieConfig::new("a\r\nSet-Cookie: b"),
            CookieConfig::new("ä"),
            plain().with_path("admin"),
            plain().with_path("/a;b"),
            plain().with_path("/\r\n"),
            plain().with_path(format!("/{}", "a".repeat(1024))),
            plain().with_domain(""),
            plain().with_domain("a b"),
            plain().with_domain("a;b"),
        ] {
            assert_eq!(bad.check().unwrap_err().kind(), ErrorKind::InvalidConfig, "{bad:?}");
        }
    }

    #[test]
    fn what_browsers_take_is_taken() {
        for good in [
            host(),
            host().with_partitioned(true).with_same_site(SameSite::None),
            plain(),
            plain().with_same_site(SameSite::Auto),
            CookieConfig::new("__Secure-sid").with_domain("example.org").with_path("/admin"),
        ] {
            assert!(good.check().is_ok(), "{good:?}");
        }
    }

    #[test]
    fn a_path_covers_whole_segments() {
        let cookie = plain().with_path("/admin");
        for (path, covered) in
            [("/admin", true), ("/admin/x", true), ("/administrator", false), ("/", false)]
        {
            assert_eq!(cookie.covers(path), covered, "{path}");
        }
        assert!(plain().with_path("/a/").covers("/a/b"));
        assert!(plain().covers("/anything"));
    }
}
