//! The `Set-Cookie` header field, from the same attributes whether it hands an
//! id out or takes it back.

use cookie::Cookie;
use cookie::time::{Duration as Span, OffsetDateTime};
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue};
use session_core::CookieAction;
use std::time::Duration;

use super::{CookieConfig, Cookies, SameSite, Secure};

/// User agents cut longer lives to this: 400 days (RFC 6265bis, 5.5).
const MAX_AGE: Duration = Duration::from_secs(400 * 24 * 3600);

impl Cookies {
    /// Tells the client in a `Set-Cookie` field. Those of others stay.
    pub(crate) fn tell(&self, action: &CookieAction, headers: &mut HeaderMap, https: bool) {
        let text = match action {
            CookieAction::Set { id, max_age, .. } => {
                #[cfg(feature = "signed")]
                let signed = self.keys.as_ref().map(|keys| keys.seal(&self.config.name, id));
                #[cfg(feature = "signed")]
                let value = signed.as_ref().map_or(id.expose(), |signed| signed.as_str());
                #[cfg(not(feature = "signed"))]
                let value = id.expose();
                self.text(value, *max_age, https)
            }
            CookieAction::Remove => self.text("", Some(Duration::ZERO), https),
            _ => return,
        };
        // The configuration was checked, and ids are plain text.
        if let Ok(mut value) = HeaderValue::try_from(text) {
            value.set_sensitive(true);
            headers.append(SET_COOKIE, value);
        }
    }

    /// Returns the field's text. The value itself is in no other place.
    fn text(&self, value: &str, max_age: Option<Duration>, https: bool) -> String {
        let template = &self.templates[usize::from(https)];
        let (name, attributes) = template.split_at(self.config.name.len() + 1);
        let Some(max_age) = max_age else { return [name, value, attributes].concat() };
        let max_age = max_age.min(MAX_AGE);
        let seconds = i64::try_from(max_age.as_secs()).unwrap_or(i64::MAX);
        // A moment in the past, for user agents whose clock is behind.
        let expires = if seconds == 0 {
            OffsetDateTime::UNIX_EPOCH
        } else {
            OffsetDateTime::now_utc() + Span::seconds(seconds)
        };
        // Without a name and a value, for the attributes: the text begins with `=`.
        let life = Cookie::build(("", "")).max_age(Span::seconds(seconds)).expires(expires);
        [name, value, attributes, &life.build().to_string()[1..]].concat()
    }
}

/// Returns the field without a value and a life: `name=; Path=/` and so on.
pub(super) fn template(config: &CookieConfig, https: bool) -> String {
    let secure = match config.secure {
        Secure::Always => true,
        Secure::Auto => https,
        Secure::Never => false,
    };
    let same_site = match config.same_site {
        SameSite::Strict => cookie::SameSite::Strict,
        SameSite::Auto if secure && https => cookie::SameSite::None,
        SameSite::Lax | SameSite::Auto => cookie::SameSite::Lax,
        SameSite::None => cookie::SameSite::None,
    };
    let mut cookie = Cookie::build((config.name.as_str(), ""))
        .path(config.path.as_str())
        .secure(secure)
        .http_only(config.http_only)
        .same_site(same_site)
        .partitioned(config.partitioned);
    if let Some(domain) = &config.domain {
        cookie = cookie.domain(domain.as_str());
    }
    cookie.build().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(config: CookieConfig, action: &CookieAction, https: bool) -> String {
        config.check().unwrap();
        let cookies = Cookies::new(config);
        let mut headers = HeaderMap::new();
        cookies.tell(action, &mut headers, https);
        headers[SET_COOKIE].to_str().unwrap().to_owned()
    }

    #[test]
    fn a_removal_has_the_attributes_of_what_it_removes() {
        let config = CookieConfig::new("__Secure-sid").with_domain("example.org").with_path("/a");
        let removal = told(config, &CookieAction::Remove, true);
        assert_eq!(
            removal,
            "__Secure-sid=; HttpOnly; SameSite=Lax; Secure; Path=/a; Domain=example.org; \
             Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
        );
    }

    #[test]
    fn auto_follows_the_request() {
        let config =
            || CookieConfig::new("sid").with_secure(Secure::Auto).with_same_site(SameSite::Auto);
        let https = told(config(), &CookieAction::Remove, true);
        assert!(https.contains("SameSite=None; Secure"), "{https}");
        let http = told(config(), &CookieAction::Remove, false);
        assert!(http.contains("SameSite=Lax") && !http.contains("Secure"), "{http}");
    }

    #[test]
    fn what_carries_an_id_is_marked_as_sensitive() {
        let cookies = Cookies::new(CookieConfig::default());
        let mut headers = HeaderMap::new();
        cookies.tell(&CookieAction::Keep, &mut headers, true);
        assert!(headers.is_empty());
        cookies.tell(&CookieAction::Remove, &mut headers, true);
        assert!(headers[SET_COOKIE].is_sensitive());
    }
}
