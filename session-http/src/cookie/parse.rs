//! From `Cookie` header fields to ids, behind limits.

use http::HeaderValue;
use session_core::SessionId;

use super::Cookies;
use crate::transport::Ids;

/// The most bytes of `Cookie` fields that are looked at: 16 KiB, twice what
/// common servers take.
const MAX_BYTES: usize = 16 << 10;
/// The most cookies that are looked at. Browsers send 50 per domain at least
/// (RFC 6265bis, 6.1) and about 180 at most.
const MAX_COOKIES: usize = 128;
/// The most ids that are taken from one request.
const MAX_IDS: usize = 4;

impl Cookies {
    /// Returns the different well-formed ids under our name, in order.
    ///
    /// Names are compared byte for byte and never decoded, so that
    /// `%5f%5fHost-sid` is another cookie. Other cookies, however malformed, do
    /// not matter.
    pub(crate) fn ids(&self, fields: &[HeaderValue]) -> Ids {
        let mut ids = Ids::new();
        for pair in pairs(fields) {
            let Some(id) = self.value(pair).and_then(|value| self.id(value)) else { continue };
            if !ids.contains(&id) {
                ids.push(id);
                if ids.len() == MAX_IDS {
                    break;
                }
            }
        }
        ids
    }

    /// Returns whether there is a cookie of our name, whatever its value.
    pub(crate) fn is_among(&self, fields: &[HeaderValue]) -> bool {
        pairs(fields).any(|pair| self.value(pair).is_some())
    }

    /// Returns the value of a pair under our name. Blanks around name and value
    /// do not count (RFC 6265bis, 5.7).
    fn value<'a>(&self, pair: &'a [u8]) -> Option<&'a [u8]> {
        let rest = pair.trim_ascii_start().strip_prefix(self.config.name.as_bytes())?;
        let value = rest.trim_ascii_start().strip_prefix(b"=")?;
        Some(value.trim_ascii())
    }

    fn id(&self, value: &[u8]) -> Option<SessionId> {
        #[cfg(feature = "signed")]
        if let Some(keys) = &self.keys {
            return keys.open(&self.config.name, std::str::from_utf8(value).ok()?);
        }
        SessionId::parse(value).ok()
    }
}

/// Returns the pairs of a request, in order, as many as are looked at.
fn pairs(fields: &[HeaderValue]) -> impl Iterator<Item = &[u8]> {
    let mut bytes = 0;
    fields
        .iter()
        .take_while(move |field| {
            bytes += field.len();
            bytes <= MAX_BYTES
        })
        .flat_map(|field| cut(field.as_bytes()))
        .take(MAX_COOKIES)
}

/// Cuts a field at its semicolons.
fn cut(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(field);
    std::iter::from_fn(move || {
        let field = rest?;
        let Some(end) = memchr::memchr(b';', field) else { return rest.take() };
        rest = Some(&field[end + 1..]);
        Some(&field[..end])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CookieConfig;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn cookies() -> Cookies {
        Cookies::new(CookieConfig::new("sid"))
    }

    fn ids(fields: &[&[u8]]) -> Vec<String> {
        let fields: Vec<_> =
            fields.iter().map(|field| HeaderValue::from_bytes(field).unwrap()).collect();
        cookies().ids(&fields).iter().map(|id| id.expose().to_owned()).collect()
    }

    #[test]
    fn our_cookie_is_found_among_others() {
        let header = format!("a=1; sid={A}; sidx={B}; b");
        assert_eq!(ids(&[header.as_bytes()]), [A]);
        assert_eq!(ids(&[b"x=\xff\xfe", format!("sid={A}").as_bytes()]), [A]);
    }

    #[test]
    fn every_different_id_is_a_candidate() {
        let header = format!("sid={A}; sid={B}; sid={A}");
        assert_eq!(ids(&[header.as_bytes()]), [A, B]);
    }

    #[test]
    fn nothing_else_is_our_cookie() {
        let upper = A.to_uppercase();
        for other in [
            format!("SID={A}"),
            format!("%73id={A}"),
            format!("=sid={A}"),
            format!("sid ={}", "x"),
            format!("sid=\"{A}\""),
            format!("sid={A} x"),
            format!("sid={A}%20"),
            format!("sid={upper}"),
            "sid=".into(),
            "sid".into(),
            "sid=../../etc/passwd".into(),
            format!("sid={}", "a".repeat(10_000)),
        ] {
            assert!(ids(&[other.as_bytes()]).is_empty(), "{other}");
        }
    }

    #[test]
    fn what_is_beyond_the_limits_is_not_looked_at() {
        let many = format!("{}sid={A}", "a=;".repeat(MAX_COOKIES));
        assert!(ids(&[many.as_bytes()]).is_empty());
        let long = format!("a={}; sid={A}", "x".repeat(MAX_BYTES));
        assert!(ids(&[long.as_bytes()]).is_empty());
    }
}
