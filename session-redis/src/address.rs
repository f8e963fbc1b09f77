//! Where the servers are, as a URL says it.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use session_core::{Error, Result};
use zeroize::Zeroizing;

use crate::error::invalid;

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// Where one server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Address {
    Tcp { host: String, port: u16, tls: bool },
    Unix(PathBuf),
}

/// How the servers belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topology {
    Single,
    Sentinel,
    Cluster,
}

/// What a URL says.
#[derive(Clone)]
pub(crate) struct Location {
    pub(crate) topology: Topology,
    pub(crate) addresses: Vec<Address>,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Zeroizing<String>>,
    pub(crate) database: i64,
    pub(crate) resp3: bool,
}

/// The schemes that are read, all of them in lower case.
pub(crate) const SCHEMES: &[&str] = &[
    "redis",
    "rediss",
    "valkey",
    "valkeys",
    "redis+unix",
    "unix",
    "redis+sentinel",
    "rediss+sentinel",
    "redis+cluster",
    "rediss+cluster",
];

impl Location {
    /// No server: somebody else knows where it is.
    pub(crate) fn nowhere() -> Self {
        Self { addresses: Vec::new(), ..Self::single(Address::Unix(PathBuf::new())) }
    }

    /// One server, without a password.
    pub(crate) fn single(address: Address) -> Self {
        Self {
            topology: Topology::Single,
            addresses: vec![address],
            user: None,
            password: None,
            database: 0,
            resp3: false,
        }
    }

    /// Whether the servers speak TLS.
    pub(crate) fn is_tls(&self) -> bool {
        self.addresses.iter().any(Address::is_tls)
    }

    /// Reads a URL.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| {
            invalid("a Redis URL begins like redis://host:6379/0, with two slashes")
        })?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        // Only a socket's options may hold an `@`. Else the password ends there, and it shall
        // be repeated in no error.
        if query.contains('@') && !rest.starts_with('/') {
            return Err(invalid("percent-encode `?` in the user and the password, as %3F"));
        }
        let (topology, tls) = match scheme.to_ascii_lowercase().as_str() {
            "redis" | "valkey" => (Topology::Single, false),
            "rediss" | "valkeys" => (Topology::Single, true),
            "unix" | "redis+unix" => return Self::unix(rest, query),
            "redis+sentinel" => (Topology::Sentinel, false),
            "rediss+sentinel" => (Topology::Sentinel, true),
            "redis+cluster" => (Topology::Cluster, false),
            "rediss+cluster" => (Topology::Cluster, true),
            _ => return Err(unknown_scheme()),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (Some(login), hosts),
            None => (None, authority),
        };
        let port = if topology == Topology::Sentinel { SENTINEL_PORT } else { PORT };
        let addresses =
            hosts.split(',').map(|host| tcp(host, port, tls)).collect::<Result<Vec<_>>>()?;
        if topology == Topology::Single && addresses.len() > 1 {
            return Err(invalid(
                "several hosts need redis+sentinel:// or redis+cluster:// in front",
            ));
        }
        let mut location = Self { topology, addresses, ..Self::nowhere() };
        if let Some(login) = login {
            let (user, password) = match login.split_once(':') {
                Some((user, password)) => (user, Some(password)),
                None => (login, None),
            };
            location.user = (!user.is_empty()).then(|| decode(user)).transpose()?;
            location.password = password.map(decode).transpose()?.map(Zeroizing::new);
        }
        if !path.is_empty() {
            location.database = database(path)?;
        }
        location.options(query, |_, _| Ok(false))?;
        if topology == Topology::Cluster && location.database != 0 {
            return Err(invalid("a cluster has database 0 only"));
        }
        Ok(location)
    }

    /// Reads the path of a socket, with everything else behind it: `db`, `user`, `pass`.
    fn unix(path: &str, query: &str) -> Result<Self> {
        if !path.starts_with('/') {
            return Err(invalid("a socket has three slashes, as in unix:///run/redis.sock"));
        }
        let mut location = Self::single(Address::Unix(decode(path)?.into()));
        location.options(query, |location, (name, value)| {
            match name {
                "db" => location.database = database(value)?,
                "user" => location.user = Some(decode(value)?),
                "pass" => location.password = Some(Zeroizing::new(decode(value)?)),
                // It may be what follows an `&` in the password.
                _ => {
                    return Err(invalid(
                        "unknown option; known are db, user, pass and protocol, ours begin with \
                         `session.`, and `&` in a password is written %26",
                    ));
                }
            }
            Ok(true)
        })?;
        Ok(location)
    }

    fn options(
        &mut self,
        query: &str,
        more: impl Fn(&mut Self, (&str, &str)) -> Result<bool>,
    ) -> Result<()> {
        for option in query.split('&').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            if name == "protocol" {
                self.resp3 = match value {
                    "2" | "resp2" => false,
                    "3" | "resp3" => true,
                    _ => return Err(invalid("`protocol` is resp2 or resp3")),
                };
            } else if !more(self, (name, value))? {
                return Err(invalid(format!(
                    "unknown option `{name}`; our options begin with `session.`"
                )));
            }
        }
        Ok(())
    }
}

/// Shows neither user nor password.
impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topology, addresses, user: _, password: _, database, resp3 } = self;
        f.debug_struct("Location")
            .field("topology", topology)
            .field("addresses", addresses)
            .field("database", database)
            .field("resp3", resp3)
            .finish_non_exhaustive()
    }
}

/// Reads `host`, `host:port`, `[::1]` or `[::1]:port`.
fn tcp(text: &str, default: u16, tls: bool) -> Result<Address> {
    let bad = || invalid("a host is a name or an address, as in db.example:6379 or [::1]:6379");
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or_else(bad)?;
            let port = match rest {
                "" => None,
                _ => Some(rest.strip_prefix(':').ok_or_else(bad)?),
            };
            (host, port)
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let plain = |letter: char| letter.is_alphanumeric() || "-._:%".contains(letter);
    if host.is_empty() || !host.chars().all(plain) {
        return Err(bad());
    }
    let port = match port {
        Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or_else(bad)?,
        None => default,
    };
    Ok(Address::Tcp { host: host.to_owned(), port, tls })
}

impl Address {
    pub(crate) const fn is_tls(&self) -> bool {
        matches!(self, Self::Tcp { tls: true, .. })
    }

    /// Returns where a node is that was named in an answer from here. One whose name is
    /// not known, or not told, is on the host that was asked.
    #[cfg(feature = "cluster")]
    pub(crate) fn announced(&self, host: &str, port: u16) -> Option<Self> {
        let Self::Tcp { host: own, tls, .. } = self else { return None };
        let host = if matches!(host, "" | "?") { own } else { host };
        (port != 0).then(|| Self::Tcp { host: host.to_owned(), port, tls: *tls })
    }
}

fn database(text: &str) -> Result<i64> {
    let number = text.trim_end_matches('/').parse().ok().filter(|number| *number >= 0);
    number.ok_or_else(|| invalid("the database is a number, as in redis://host/1"))
}

fn decode(text: &str) -> Result<String> {
    let text = percent_decode_str(text).decode_utf8();
    text.map(Into::into).map_err(|_| invalid("percent-encoding in the URL does not give UTF-8"))
}

fn unknown_scheme() -> Error {
    invalid(format!("unknown scheme; known are {}", SCHEMES.join(", ")))
}

#[cfg(test)]
mod tests {
    use session_core::ErrorKind;

    use super::*;

    fn at(host: &str, port: u16, tls: bool) -> Address {
        Address::Tcp { host: host.into(), port, tls }
    }

    #[test]
    fn a_url_names_host_port_login_and_database() {
        let url = "redis://ann:p%40ss@db.example:7000/3?protocol=resp3";
        let location = Location::parse(url).unwrap();
        assert_eq!(location.addresses, [at("db.example", 7000, false)]);
        assert_eq!(location.user.as_deref(), Some("ann"));
        assert_eq!(location.password.as_ref().unwrap().as_str(), "p@ss");
        assert_eq!((location.database, location.resp3), (3, true));
        assert!(!format!("{location:?}").contains("ss\""), "{location:?}");

        let bare = Location::parse("rediss://:secret@[::1]").unwrap();
        assert_eq!(bare.addresses, [at("::1", 6379, true)]);
        assert_eq!((bare.user, bare.database), (None, 0));
    }

    #[test]
    fn a_question_mark_in_a_password_is_percent_encoded() {
        let err = Location::parse("redis://ann:2024?Spring@db/0").unwrap_err();
        assert!(err.to_string().contains("%3F"), "{err}");
        let location = Location::parse("redis://ann:2024%3FSpring@db/0").unwrap();
        assert_eq!(location.password.unwrap().as_str(), "2024?Spring");
    }

    #[test]
    fn several_hosts_are_sentinels_or_a_cluster() {
        let sentinels = Location::parse("redis+sentinel://a,b:1/2").unwrap();
        assert_eq!(sentinels.topology, Topology::Sentinel);
        assert_eq!(sentinels.addresses, [at("a", 26379, false), at("b", 1, false)]);
        let cluster = Location::parse("rediss+cluster://a,b").unwrap();
        assert_eq!(cluster.topology, Topology::Cluster);
        assert_eq!(cluster.addresses, [at("a", 6379, true), at("b", 6379, true)]);
    }

    #[test]
    fn a_socket_has_a_path() {
        let location =
            Location::parse("redis+unix:///run/a%20b.sock?db=2&user=u&pass=p@ss").unwrap();
        assert_eq!(location.addresses, [Address::Unix("/run/a b.sock".into())]);
        assert_eq!((location.database, location.user.as_deref()), (2, Some("u")));
    }

    #[test]
    fn impossible_urls_are_refused_without_repeating_them() {
        for bad in [
            "",
            "redis:",
            "redis:localhost",
            "http://secret",
            "redis://secret:0",
            "redis://secret:99999",
            "redis://a b/secret",
            "redis://h/secret",
            "redis://h/-1",
            "redis://a,b",
            "redis://h?timeout=secret",
            "redis://h?protocol=secret",
            "redis+cluster://h/1",
            "unix://secret",
            "redis://[::1/secret",
            "redis://%ff:secret@h",
            "redis://ann:2024?secret@db/0",
            "redis://ann:2024?a=1&secret@db/0",
            "redis://ann?secret:2024@db/0",
            "redis+cluster://:a?secret@a,b",
            "redis+sentinel://:a?secret@a,b/0",
            "unix:///socket?pass=a&secret",
            "unix:///socket?pass=a&secret@b",
        ] {
            let err = Location::parse(bad).unwrap_err();
            assert_eq!(err.kind(), ErrorKind::InvalidConfig, "{bad}");
            assert!(!err.to_string().contains("secret"), "{err}");
        }
    }
}
