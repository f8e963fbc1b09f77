//! How to reach Redis, and what to ask of it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use session_core::{Result, seconds};
use zeroize::Zeroizing;

use crate::address::{Address, Location, Topology};
use crate::error::invalid;
use crate::keys::Keys;

/// How to reach Redis or Valkey, and what to ask of it.
///
/// Deserializes from any format; unknown fields are errors, and all have
/// defaults. Where the server is stands either in `url`, or in `host`, `port`,
/// `user`, `auth` and `database`.
///
/// ```
/// use session_redis::RedisConfig;
///
/// let config = RedisConfig::new("redis://:password@127.0.0.1:6379/1").with_prefix("session_");
/// assert_eq!(config.prefix, "session_");
/// assert!(!format!("{config:?}").contains("password"));
/// ```
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RedisConfig {
    /// Where the servers are: `redis://`, `rediss://` (TLS), `unix://`,
    /// `redis+sentinel://`, `redis+cluster://`. Default none.
    pub url: Option<String>,
    /// The server's name or address, if there is no `url`. Default `127.0.0.1`.
    pub host: Option<String>,
    /// The server's port, if there is no `url`. Default 6379.
    pub port: Option<u16>,
    /// The ACL user, if there is no `url`. Default none, the server's `default`.
    pub user: Option<String>,
    /// The password, if there is no `url`. Default none.
    pub auth: Option<String>,
    /// The number of the database, if there is no `url`. Default 0.
    pub database: Option<u32>,
    /// What all keys begin with, 1 to 128 bytes, taken literally. Braces must be
    /// a hash tag. Default `session:`.
    pub prefix: String,
    /// The longest that one call may take, with all its attempts. Default 2 s, at
    /// least 1 ms, at most an hour.
    #[serde(with = "seconds")]
    pub timeout: Duration,
    /// The longest payload in bytes. Default 4 MiB, at least 1, at most 256 MiB.
    pub max_record_bytes: usize,
    /// How many replicas must confirm a write before it is acknowledged.
    /// Default 0: none, so that a failover may lose acknowledged writes.
    pub min_replica_acks: u32,
    /// How long to wait for those replicas. Default 0.5 s; less than `timeout`.
    #[serde(with = "seconds")]
    pub replica_timeout: Duration,
    /// The name of the primary that Sentinel watches. Needed with
    /// `redis+sentinel://`, and only there.
    pub master: Option<String>,
    /// The ACL user at the Sentinels. Default none.
    pub sentinel_user: Option<String>,
    /// The password at the Sentinels. Default none.
    pub sentinel_auth: Option<String>,
    /// A file of certificates in PEM form that alone are trusted, instead of the
    /// system's. Only with TLS. Default none.
    pub ca_file: Option<PathBuf>,
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self {
            url: None,
            host: None,
            port: None,
            user: None,
            auth: None,
            database: None,
            prefix: "session:".to_owned(),
            timeout: Duration::from_secs(2),
            max_record_bytes: 4 * 1024 * 1024,
            min_replica_acks: 0,
            replica_timeout: Duration::from_millis(500),
            master: None,
            sentinel_user: None,
            sentinel_auth: None,
            ca_file: None,
        }
    }
}

impl RedisConfig {
    /// Takes a URL and defaults for the rest.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: Some(url.into()), ..Self::default() }
    }

    /// Sets what all keys begin with.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets the longest that one call may take.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the longest payload in bytes.
    #[must_use]
    pub const fn with_max_record_bytes(mut self, max_record_bytes: usize) -> Self {
        self.max_record_bytes = max_record_bytes;
        self
    }

    /// Sets how many replicas must confirm a write, and how long to wait for them.
    #[must_use]
    pub const fn with_replica_acks(mut self, replicas: u32, timeout: Duration) -> Self {
        self.min_replica_acks = replicas;
        self.replica_timeout = timeout;
        self
    }

    /// Sets the name of the primary that Sentinel watches.
    #[must_use]
    pub fn with_master(mut self, name: impl Into<String>) -> Self {
        self.master = Some(name.into());
        self
    }

    /// Sets the certificates that alone are trusted.
    #[must_use]
    pub fn with_ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// Checks the settings, and says where the servers are.
    pub(crate) fn checked(&self) -> Result<(Location, Keys)> {
        let keys = Keys::new(&self.prefix)?;
        let location = self.location()?;
        if !(MIN_TIMEOUT..=MAX_TIMEOUT).contains(&self.timeout) {
            return Err(invalid("timeout must be from 0.001 s to 3600 s"));
        }
        if !(1..=MAX_RECORD_BYTES).contains(&self.max_record_bytes) {
            return Err(invalid("max_record_bytes must be from 1 to 268435456 (256 MiB)"));
        }
        if self.min_replica_acks > 0 && !in_time(self.replica_timeout, self.timeout) {
            return Err(invalid("replica_timeout must be at least 0.001 s and less than timeout"));
        }
        match (location.topology, &self.master) {
            (Topology::Sentinel, None) => {
                return Err(invalid(
                    "redis+sentinel needs the name of the primary, as in session.master=mymaster",
                ));
            }
            (Topology::Sentinel, Some(_)) | (_, None) => {}
            _ => return Err(invalid("master is for redis+sentinel only")),
        }
        let login = self.sentinel_user.is_some() || self.sentinel_auth.is_some();
        if login && location.topology != Topology::Sentinel {
            return Err(invalid("sentinel_user and sentinel_auth are for redis+sentinel only"));
        }
        let tls = location.is_tls();
        if tls && !cfg!(feature = "tls-rustls") {
            return Err(invalid("for TLS enable the feature `tls-rustls` of session-redis"));
        }
        if !tls && self.ca_file.is_some() {
            return Err(invalid("ca_file is for TLS only; write rediss:// instead of redis://"));
        }
        Ok((location, keys))
    }

    /// Refuses what says where the server is, for an application that is connected.
    pub(crate) fn refuse_connecting(&self) -> Result<()> {
        if self.names_parts() || self.url.is_some() {
            let message =
                "the client knows the server; leave out url, host, port, user, auth and database";
            return Err(invalid(message));
        }
        Ok(())
    }

    /// Whether anything is set of what stands in place of a URL.
    const fn names_parts(&self) -> bool {
        let Self { host, port, user, auth, database, .. } = self;
        host.is_some() || port.is_some() || user.is_some() || auth.is_some() || database.is_some()
    }

    fn location(&self) -> Result<Location> {
        let Self { url, host, port, user, auth, database, .. } = self;
        if let Some(url) = url {
            if self.names_parts() {
                return Err(invalid(
                    "give either url, or host, port, user, auth and database, not both",
                ));
            }
            return Location::parse(url);
        }
        let host = host.clone().unwrap_or_else(|| "127.0.0.1".to_owned());
        if host.is_empty() {
            return Err(invalid("host must not be empty"));
        }
        if *port == Some(0) {
            return Err(invalid("port must be from 1 to 65535"));
        }
        let address = Address::Tcp { host, port: port.unwrap_or(6379), tls: false };
        let mut location = Location::single(address);
        location.user.clone_from(user);
        location.password = auth.clone().map(Zeroizing::new);
        location.database = database.unwrap_or(0).into();
        Ok(location)
    }
}

const MIN_TIMEOUT: Duration = Duration::from_millis(1);
const MAX_TIMEOUT: Duration = Duration::from_secs(3600);
const MAX_RECORD_BYTES: usize = 256 << 20;

fn in_time(part: Duration, whole: Duration) -> bool {
    part >= MIN_TIMEOUT && part < whole
}

/// Shows neither URL, users nor passwords.
impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            url: _,
            host,
            port,
            user: _,
            auth: _,
            database,
            prefix,
            timeout,
            max_record_bytes,
            min_replica_acks,
            replica_timeout,
            master,
            sentinel_user: _,
            sentinel_auth: _,
            ca_file,
        } = self;
        f.debug_struct("RedisConfig")
            .field("host", host)
            .field("port", port)
            .field("database", database)
            .field("prefix", prefix)
            .field("timeout", timeout)
            .field("max_record_bytes", max_record_bytes)
            .field("min_replica_acks", min_replica_acks)
            .field("replica_timeout", replica_timeout)
            .field("master", master)
            .field("ca_file", ca_file)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use session_core::ErrorKind;

    use super::*;

    #[test]
    fn the_classic_options_lead_to_the_same_place_as_a_url() {
        let config = RedisConfig {
            host: Some("db".into()),
            port: Some(7000),
            auth: Some("secret".into()),
            database: Some(2),
            ..RedisConfig::default()
        };
        let (parts, _) = config.checked().unwrap();
        let (url, _) = RedisConfig::new("redis://:secret@db:7000/2").checked().unwrap();
        assert_eq!(parts.addresses, url.addresses);
        assert_eq!((parts.password, parts.database), (url.password, url.database));
    }

    #[test]
    fn impossible_settings_are_refused() {
        let good = || RedisConfig::new("redis://h");
        let both = RedisConfig { auth: Some("secret".into()), ..good() };
        for bad in [
            both,
            RedisConfig { host: Some(String::new()), ..RedisConfig::default() },
            RedisConfig { port: Some(0), ..RedisConfig::default() },
            good().with_prefix(""),
            good().with_prefix("a{"),
            good().with_timeout(Duration::ZERO),
            good().with_timeout(Duration::MAX),
            good().with_max_record_bytes(0),
            good().with_max_record_bytes(usize::MAX),
            good().with_replica_acks(1, Duration::ZERO),
            good().with_replica_acks(1, Duration::from_secs(2)),
            good().with_master("m"),
            RedisConfig { sentinel_user: Some("secret".into()), ..good() },
            RedisConfig { sentinel_auth: Some("secret".into()), ..good() },
            good().with_ca_file("/ca.pem"),
            RedisConfig::new("redis+sentinel://h"),
        ] {
            let err = bad.checked().unwrap_err();
            assert_eq!(err.kind(), ErrorKind::InvalidConfig, "{bad:?}");
            assert!(!format!("{err}{bad:?}").contains("secret"));
        }
    }
}
