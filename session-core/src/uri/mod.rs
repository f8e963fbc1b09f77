//! Where a store is, and how to use it, in one line of text.

mod options;

use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::{Error, ErrorKind, Operation, Result};

/// The longest URI that is read, in bytes.
const MAX_LEN: usize = 8 * 1024;
/// Options that start with this are ours; all others belong to the driver.
const OURS: &str = "session.";

/// Where a store is, and how to use it, in one line of text.
///
/// Everything before `?`, and every option that does not start with
/// `session.`, goes to the driver untouched: several hosts, `replicaSet`,
/// `ssl-mode`. The options that start with `session.` are the engine's own.
///
/// ```
/// use session_core::StoreUri;
///
/// let uri = StoreUri::parse("mongodb://a:1,b:2/app?replicaSet=rs0&session.collection=s")?;
/// assert_eq!(uri.scheme(), "mongodb");
/// assert_eq!(uri.expose(), "mongodb://a:1,b:2/app?replicaSet=rs0");
///
/// #[derive(serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Options {
///     collection: String,
/// }
/// assert_eq!(uri.options::<Options>()?.collection, "s");
/// assert_eq!(format!("{uri:?}"), "StoreUri(mongodb:..)");
/// # Ok::<(), session_core::Error>(())
/// ```
#[derive(Clone)]
pub struct StoreUri {
    /// For the driver; may hold credentials.
    driver: Zeroizing<String>,
    scheme_len: usize,
    options: Vec<(String, Zeroizing<String>)>,
}

impl StoreUri {
    /// Reads a URI.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfig`] without a scheme, over 8 KiB, with a control
    /// character, with an option given twice, or with percent-encoding that is
    /// not UTF-8. The error never repeats the URI.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > MAX_LEN {
            return Err(invalid("the URI is longer than 8 KiB"));
        }
        if text.chars().any(char::is_control) {
            return Err(invalid("the URI holds a control character"));
        }
        let scheme_len = scheme_len(text).ok_or_else(|| {
            invalid("a store URI begins with a scheme, as in file:///var/lib/app")
        })?;
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        let mut driver = Zeroizing::new(base.to_owned());
        driver[..scheme_len].make_ascii_lowercase();
        let mut options: Vec<(String, Zeroizing<String>)> = Vec::new();
        let mut separator = '?';
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let Some(ours) = pair.strip_prefix(OURS) else {
                driver.push(separator);
                driver.push_str(pair);
                separator = '&';
                continue;
            };
            let (name, value) = ours.split_once('=').unwrap_or((ours, ""));
            if options.iter().any(|(known, _)| known == name) {
                return Err(invalid(format!("option `{OURS}{name}` is given twice")));
            }
            options.push((name.to_owned(), Zeroizing::new(decode(value)?)));
        }
        Ok(Self { driver, scheme_len, options })
    }

    /// Returns the scheme in lower case.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.driver[..self.scheme_len]
    }

    /// Returns the URI without our options, for the driver. It may hold a password.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.driver
    }

    /// Returns the path of a URI that names no host: `file:///a/b`, `file:a/b`.
    /// Empty if there is none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfig`] if a host is named, an option is not ours, or
    /// the path is not UTF-8.
    pub fn path(&self) -> Result<PathBuf> {
        let rest = &self.driver[self.scheme_len + 1..];
        if let Some((_, query)) = rest.split_once('?') {
            let name = query.split(['=', '&']).next().unwrap_or_default();
            return Err(invalid(format!(
                "unknown option `{name}`; our options begin with `{OURS}`"
            )));
        }
        let path = match rest.strip_prefix("//") {
            None => rest,
            Some(local) if local.starts_with('/') || local.is_empty() => local,
            Some(_) => {
                let scheme = self.scheme();
                let message = format!(
                    "a path has three slashes, as in {scheme}:///var/lib/app; after two comes a host"
                );
                return Err(invalid(message));
            }
        };
        Ok(decode(path)?.into())
    }

    /// Reads our options into a struct. Numbers, booleans and names are read
    /// from their text. Use `deny_unknown_fields`, so that a typo is an error.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfig`] for an unknown option, a missing one, or one
    /// of the wrong form. The error never repeats a value.
    pub fn options<T: DeserializeOwned>(&self) -> Result<T> {
        options::read(self.options.iter().map(|(name, value)| (name.as_str(), value.as_str())))
            .map_err(|err| invalid(err.to_string()))
    }
}

/// Shows the scheme only: the rest may hold a password.
impl fmt::Debug for StoreUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreUri({}:..)", self.scheme())
    }
}

/// Returns the length of the scheme by the rules of RFC 3986, section 3.1.
fn scheme_len(text: &str) -> Option<usize> {
    let len = text.find(':')?;
    let scheme = &text.as_bytes()[..len];
    let starts = scheme.first()?.is_ascii_alphabetic();
    let rest = scheme.iter().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b));
    (starts && rest).then_some(len)
}

fn decode(text: &str) -> Result<String> {
    match percent_decode_str(text).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(invalid("percent-encoding in the URI does not give UTF-8")),
    }
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidConfig, Operation::Configure, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    struct Options {
        prefix: String,
        port: u16,
        ratio: f64,
        tls: bool,
        mode: Mode,
        name: Option<String>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Mode {
        Full,
        Process,
    }

    impl Default for Options {
        fn default() -> Self {
            let prefix = "p".into();
            Self { prefix, port: 1, ratio: 0.5, tls: false, mode: Mode::Full, name: None }
        }
    }

    fn options(query: &str) -> Result<Options> {
        StoreUri::parse(&format!("x://h/?{query}"))?.options()
    }

    #[test]
    fn our_options_are_taken_out_and_all_else_is_left_to_the_driver() {
        let uri =
            StoreUri::parse("MySQL://u:p@h/db?ssl-mode=required&session.table=s&a=b").unwrap();
        assert_eq!(uri.scheme(), "mysql");
        assert_eq!(uri.expose(), "mysql://u:p@h/db?ssl-mode=required&a=b");
    }

    #[test]
    fn options_are_read_from_their_text() {
        let query = "session.prefix=a%20b&session.port=6379&session.tls=true&session.mode=process";
        let read = options(query).unwrap();
        assert_eq!((read.prefix.as_str(), read.port, read.tls), ("a b", 6379, true));
        assert_eq!(read.mode, Mode::Process);
        assert_eq!(options("session.name=x").unwrap().name.as_deref(), Some("x"));
        assert_eq!(options("").unwrap(), Options::default());
    }

    #[test]
    fn wrong_options_are_named_and_their_values_are_not() {
        for (query, name) in [
            ("session.prefx=hunter2", "prefx"),
            ("session.port=hunter2", "port"),
            ("session.port=70000", "port"),
            ("session.mode=hunter2", "mode"),
            ("session.port=1&session.port=2", "port"),
        ] {
            let err = options(query).unwrap_err();
            assert_eq!(err.kind(), ErrorKind::InvalidConfig);
            let text = err.to_string();
            assert!(text.contains(name), "{text}");
            assert!(!text.contains("hunter2") && !text.contains("70000"), "{text}");
        }
        assert!(options("session.prefx=a").unwrap_err().to_string().contains("`prefix`"));
    }

    #[test]
    fn a_path_is_what_follows_the_empty_host() {
        let path = |text: &str| StoreUri::parse(text).unwrap().path();
        assert_eq!(path("file:///var/lib/my%20app").unwrap(), PathBuf::from("/var/lib/my app"));
        assert_eq!(path("file:sessions").unwrap(), PathBuf::from("sessions"));
        assert_eq!(path("memory:").unwrap(), PathBuf::new());
        for bad in ["file://host/a", "file:///a?durability=full", "file:///%ff"] {
            assert_eq!(path(bad).unwrap_err().kind(), ErrorKind::InvalidConfig, "{bad}");
        }
    }

    #[test]
    fn what_has_no_scheme_is_refused_without_being_repeated() {
        for bad in ["", "/var/lib/secret", "secret", ":secret", "1x:secret", "a b:secret"] {
            let err = StoreUri::parse(bad).unwrap_err();
            assert_eq!(err.kind(), ErrorKind::InvalidConfig, "{bad}");
            assert!(!err.to_string().contains("secret"));
        }
        let uri = StoreUri::parse("redis://:secret@h/1").unwrap();
        assert_eq!(format!("{uri:?}"), "StoreUri(redis:..)");
    }
}
