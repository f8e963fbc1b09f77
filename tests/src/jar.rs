//! A cookie jar that follows RFC 6265bis as browsers do.

use std::time::{Duration, SystemTime};

/// The longest name and value together, in bytes (RFC 6265bis, 5.7).
const MAX_PAIR: usize = 4096;
/// The longest attribute value, in bytes (5.6).
const MAX_ATTRIBUTE: usize = 1024;
/// The longest life that a cookie is granted: 400 days (5.5).
const MAX_LIFE: Duration = Duration::from_secs(400 * 24 * 3600);

/// Where a request goes to, as far as cookies care.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Whether the connection counts as secure.
    pub https: bool,
    /// The host, in lower case.
    pub host: &'a str,
    /// The path, without the query.
    pub path: &'a str,
}

/// What became of a `Set-Cookie`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The jar holds it now.
    Kept,
    /// It was expired, so that the jar forgot what it had.
    Removed,
    /// A browser takes no such cookie.
    Refused,
}

/// The cookies of one browser.
#[derive(Clone, Debug, Default)]
pub struct Jar {
    cookies: Vec<Cookie>,
    created: u64,
}

#[derive(Clone, Debug)]
struct Cookie {
    name: String,
    value: String,
    domain: String,
    host_only: bool,
    path: String,
    secure: bool,
    expires: Option<SystemTime>,
    /// Counts up, so that older cookies go first.
    created: u64,
}

impl Jar {
    /// Takes a `Set-Cookie` field that came from `place` at `now`.
    pub fn take(&mut self, field: &str, place: Place<'_>, now: SystemTime) -> Taken {
        self.created += 1;
        let Some(mut new) = Cookie::parse(field, place, now, self.created) else {
            return Taken::Refused;
        };
        let same = |old: &Cookie| {
            (&old.name, &old.domain, old.host_only, &old.path)
                == (&new.name, &new.domain, new.host_only, &new.path)
        };
        // A plain connection neither sets nor overlays what a secure one has set.
        if !place.https && self.cookies.iter().any(|old| old.secure && old.name == new.name) {
            return Taken::Refused;
        }
        if let Some(at) = self.cookies.iter().position(same) {
            new.created = self.cookies.remove(at).created;
        }
        if new.expires.is_some_and(|expires| expires <= now) {
            return Taken::Removed;
        }
        self.cookies.push(new);
        Taken::Kept
    }

    /// Returns the `Cookie` field for a request, or `None` without cookies.
    #[must_use]
    pub fn header(&self, place: Place<'_>, now: SystemTime) -> Option<String> {
        let mut matching: Vec<_> =
            self.cookies.iter().filter(|cookie| cookie.goes_to(place, now)).collect();
        // Longer paths first, then older cookies (5.8.3).
        matching.sort_by_key(|cookie| (std::cmp::Reverse(cookie.path.len()), cookie.created));
        let pairs: Vec<_> =
            matching.iter().map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    /// Returns the value of a cookie, wherever it would be sent.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.cookies.iter().find(|cookie| cookie.name == name).map(|cookie| cookie.value.as_str())
    }

    /// Returns until when a cookie is kept; `None` for until the browser closes.
    #[must_use]
    pub fn expires(&self, name: &str) -> Option<SystemTime> {
        self.cookies.iter().find(|cookie| cookie.name == name)?.expires
    }

    /// Forgets what a browser forgets when it closes.
    pub fn close(&mut self) {
        self.cookies.retain(|cookie| cookie.expires.is_some());
    }
}

impl Cookie {
    fn parse(field: &str, place: Place<'_>, now: SystemTime, created: u64) -> Option<Self> {
        if field.chars().any(|c| c.is_control() && c != '\t') {
            return None;
        }
        let mut parts = field.split(';');
        let (name, value) = parts.next()?.split_once('=')?;
        let (name, value) = (name.trim(), value.trim());
        if name.is_empty() || name.len() + value.len() > MAX_PAIR {
            return None;
        }
        let mut cookie = Self {
            name: name.into(),
            value: value.into(),
            domain: place.host.into(),
            host_only: true,
            path: default_path(place.path).into(),
            secure: false,
            expires: None,
            created,
        };
        let (mut max_age, mut expires, mut root) = (None, None, false);
        for part in parts {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
            if value.len() > MAX_ATTRIBUTE {
                continue;
            }
            match key.as_str() {
                "secure" => cookie.secure = true,
                "path" if value.starts_with('/') => {
                    cookie.path = value.into();
                    root = value == "/";
                }
                "domain" if !value.is_empty() => {
                    cookie.domain = value.trim_start_matches('.').to_ascii_lowercase();
                    cookie.host_only = false;
                }
                "max-age" => max_age = value.parse::<i64>().ok().or(max_age),
                "expires" => expires = httpdate::parse_http_date(value).ok().or(expires),
                _ => {}
            }
        }
        // Max-Age wins over Expires (5.7).
        cookie.expires = match max_age {
            Some(seconds) => {
                let life = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
                Some(now + life.min(MAX_LIFE))
            }
            None => expires.map(|expires| expires.min(now + MAX_LIFE)),
        };
        let in_domain = cookie.host_only || domain_matches(place.host, &cookie.domain);
        let secure = !cookie.secure || place.https;
        (in_domain && secure && cookie.prefix_holds(root)).then_some(cookie)
    }

    /// What the name promises (5.7), without regard to case.
    fn prefix_holds(&self, root: bool) -> bool {
        let name = self.name.to_ascii_lowercase();
        if name.starts_with("__host-") {
            return self.secure && self.host_only && root;
        }
        !name.starts_with("__secure-") || self.secure
    }

    fn goes_to(&self, place: Place<'_>, now: SystemTime) -> bool {
        let host = if self.host_only {
            self.domain == place.host
        } else {
            domain_matches(place.host, &self.domain)
        };
        host && path_matches(place.path, &self.path)
            && (!self.secure || place.https)
            && self.expires.is_none_or(|expires| now < expires)
    }
}

fn default_path(path: &str) -> &str {
    match path.rfind('/') {
        Some(at) if at > 0 => &path[..at],
        _ => "/",
    }
}

/// Matches whole segments only (5.1.4).
fn path_matches(path: &str, cookie: &str) -> bool {
    path.strip_prefix(cookie)
        .is_some_and(|rest| rest.is_empty() || cookie.ends_with('/') || rest.starts_with('/'))
}

fn domain_matches(host: &str, domain: &str) -> bool {
    let address = host.parse::<std::net::IpAddr>().is_ok();
    host == domain || (!address && host.strip_suffix(domain).is_some_and(|sub| sub.ends_with('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HTTPS: Place<'_> = Place { https: true, host: "app.example.org", path: "/a/b" };
    const HTTP: Place<'_> = Place { https: false, ..HTTPS };

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    fn sent(fields: &[&str], place: Place<'_>) -> Option<String> {
        let mut jar = Jar::default();
        for field in fields {
            jar.take(field, HTTPS, now());
        }
        jar.header(place, now())
    }

    #[test]
    fn a_path_matches_whole_segments() {
        let to = |path| sent(&["s=1; Path=/admin"], Place { path, ..HTTPS }).is_some();
        assert!(to("/admin") && to("/admin/") && to("/admin/x"));
        assert!(!to("/administrator") && !to("/") && !to("/Admin"));
        assert_eq!(sent(&["s=1"], Place { path: "/a/c", ..HTTPS }).as_deref(), Some("s=1"));
        assert_eq!(sent(&["s=1"], Place { path: "/", ..HTTPS }), None);
    }

    #[test]
    fn a_domain_matches_its_hosts_and_no_domain_this_host_only() {
        let to = |field: &str, host| sent(&[field], Place { host, ..HTTPS }).is_some();
        assert!(to("s=1; Path=/; Domain=example.org", "other.example.org"));
        assert!(!to("s=1; Path=/; Domain=example.org", "badexample.org"));
        assert!(to("s=1; Path=/", "app.example.org"));
        assert!(!to("s=1; Path=/", "x.app.example.org"));
        assert_eq!(sent(&["s=1; Domain=example.com"], HTTPS), None);
    }

    #[test]
    fn secure_cookies_never_meet_a_plain_connection() {
        assert_eq!(sent(&["s=1; Path=/; Secure"], HTTP), None);
        let mut jar = Jar::default();
        assert_eq!(jar.take("s=1; Secure", HTTP, now()), Taken::Refused);
        assert_eq!(jar.take("s=1; Path=/; Secure", HTTPS, now()), Taken::Kept);
        assert_eq!(jar.take("s=2; Path=/", HTTP, now()), Taken::Refused);
    }

    #[test]
    fn prefixes_are_promises() {
        let mut jar = Jar::default();
        let mut take = |field: &str| jar.take(field, HTTPS, now());
        assert_eq!(take("__Host-s=1; Secure; Path=/"), Taken::Kept);
        assert_eq!(take("__host-s=1; Path=/"), Taken::Refused);
        assert_eq!(take("__Host-s=1; Secure; Path=/a"), Taken::Refused);
        assert_eq!(take("__Host-s=1; Secure"), Taken::Refused);
        assert_eq!(take("__Host-s=1; Secure; Path=/; Domain=example.org"), Taken::Refused);
        assert_eq!(take("__Secure-s=1"), Taken::Refused);
        assert_eq!(take("__Secure-s=1; Secure; Path=/a"), Taken::Kept);
    }

    #[test]
    fn cookies_end_when_they_say_so() {
        let mut jar = Jar::default();
        let expires = "Sat, 01 Jan 2000 00:00:00 GMT";
        assert_eq!(jar.take("s=1; Max-Age=10", HTTPS, now()), Taken::Kept);
        assert!(jar.header(HTTPS, now() + Duration::from_secs(9)).is_some());
        assert!(jar.header(HTTPS, now() + Duration::from_secs(10)).is_none());
        let both = format!("s=1; Max-Age=10; Expires={expires}");
        assert_eq!(jar.take(&both, HTTPS, now()), Taken::Kept);
        assert_eq!(jar.take(&format!("s=1; Expires={expires}"), HTTPS, now()), Taken::Removed);
        assert_eq!(jar.header(HTTPS, now()), None);
        assert_eq!(jar.take("s=1; Max-Age=99999999999", HTTPS, now()), Taken::Kept);
        assert_eq!(jar.expires("s"), Some(now() + MAX_LIFE));
    }

    #[test]
    fn a_removal_has_to_match_name_domain_and_path() {
        let mut jar = Jar::default();
        jar.take("s=1; Path=/", HTTPS, now());
        jar.take("s=; Path=/a; Max-Age=0", HTTPS, now());
        jar.take("s=; Path=/; Domain=app.example.org; Max-Age=0", HTTPS, now());
        assert_eq!(jar.header(HTTPS, now()).as_deref(), Some("s=1"));
        assert_eq!(jar.take("s=; Path=/; Max-Age=0", HTTPS, now()), Taken::Removed);
        assert_eq!(jar.header(HTTPS, now()), None);
    }

    #[test]
    fn longer_paths_go_first_and_closing_forgets_what_was_not_to_last() {
        let fields = ["s=root; Path=/; Max-Age=9", "s=deep; Path=/a/b", "t=1; Path=/"];
        let sent = sent(&fields, HTTPS);
        assert_eq!(sent.as_deref(), Some("s=deep; s=root; t=1"));
        let mut jar = Jar::default();
        for field in fields {
            jar.take(field, HTTPS, now());
        }
        jar.close();
        assert_eq!(jar.header(HTTPS, now()).as_deref(), Some("s=root"));
    }

    #[test]
    fn what_is_too_long_or_malformed_is_refused() {
        let mut jar = Jar::default();
        let mut take = |field: &str| jar.take(field, HTTPS, now());
        assert_eq!(take(&format!("s={}", "x".repeat(4095))), Taken::Kept);
        assert_eq!(take(&format!("s={}", "x".repeat(4096))), Taken::Refused);
        assert_eq!(take("nothing"), Taken::Refused);
        assert_eq!(take("=1"), Taken::Refused);
        assert_eq!(take("s=\u{1}"), Taken::Refused);
    }
}
