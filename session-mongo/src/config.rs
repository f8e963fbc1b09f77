//! Which collection sessions are kept in, and how.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use session_core::Result;

use crate::error::invalid;

/// What [`open`](session_core::SessionHandler::open) does about indexes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Indexes {
    /// Makes those that are missing and checks those that are there. The default.
    #[default]
    Create,
    /// Checks that they are there. For users who may not create any.
    Check,
    /// Leaves them alone. For servers that do not support such indexes. Sessions
    /// end in time all the same; collecting them and finding those of an owner
    /// looks at the whole collection.
    Ignore,
}

/// Which collection sessions are kept in, and how.
///
/// Deserializes from any format; unknown fields are errors, and all have
/// defaults. `Debug` shows no URI.
///
/// ```
/// use std::time::Duration;
/// use session_mongo::MongoConfig;
///
/// let config = MongoConfig::new("mongodb://127.0.0.1:27017/app")
///     .with_collection("logins")
///     .with_timeout(Duration::from_secs(1));
/// assert_eq!(config.collection, "logins");
/// ```
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct MongoConfig {
    /// The driver's connection string. It names the database, unless
    /// `database` does; may hold a password. Default none, which only a handler
    /// made [from a database](crate::MongoHandler::from_database) can do with.
    pub uri: Option<String>,
    /// The database. Default: the one that the URI names.
    pub database: Option<String>,
    /// The collection. Locks are in another one of this name and `_locks`.
    /// Letters, digits, `_`, `-` and `.`, at most 100 bytes. Default `sessions`.
    pub collection: String,
    /// How long one call may take, all its attempts together. Default 2 s, from
    /// 10 ms to 10 minutes. Where the URI does not say otherwise, finding a
    /// server may take nine tenths of it, and connecting half.
    #[serde(with = "session_core::seconds")]
    pub timeout: Duration,
    /// The longest payload in bytes. Default 4 MiB, at least 1, at most 16 MiB
    /// less 16 KiB: a document has 16 MiB at the most.
    pub max_record_bytes: usize,
    /// What to do about indexes. Default [`Indexes::Create`].
    pub indexes: Indexes,
}

impl MongoConfig {
    /// Takes the driver's connection string and defaults for the rest.
    #[must_use]
    pub fn new(uri: impl Into<String>) -> Self {
        Self { uri: Some(uri.into()), ..Self::default() }
    }

    /// Sets the database.
    #[must_use]
    pub fn with_database(mut self, database: impl Into<String>) -> Self {
        self.database = Some(database.into());
        self
    }

    /// Sets the collection.
    #[must_use]
    pub fn with_collection(mut self, collection: impl Into<String>) -> Self {
        self.collection = collection.into();
        self
    }

    /// Sets how long one call may take.
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

    /// Sets what to do about indexes.
    #[must_use]
    pub const fn with_indexes(mut self, indexes: Indexes) -> Self {
        self.indexes = indexes;
        self
    }

    /// Refuses what a database of the application's decides.
    pub(crate) fn refuse_connecting(&self) -> Result<()> {
        if self.uri.is_none() && self.database.is_none() {
            return Ok(());
        }
        Err(invalid("the database is known; leave out uri and database"))
    }

    /// Checks everything but the URI.
    pub(crate) fn checked(self) -> Result<Self> {
        if !(MIN_TIMEOUT..=MAX_TIMEOUT).contains(&self.timeout) {
            return Err(invalid("timeout must be from 0.01 to 600 seconds"));
        }
        if !(1..=MAX_RECORD_BYTES).contains(&self.max_record_bytes) {
            return Err(invalid(
                "max_record_bytes must be from 1 to 16760832 (16 MiB less 16 KiB)",
            ));
        }
        let collection = self.collection.as_bytes();
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
        let starts = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
        let reserved = self.collection.starts_with("system.");
        if collection.len() > MAX_NAME
            || !collection.iter().all(plain)
            || !collection.first().is_some_and(starts)
            || collection.last() == Some(&b'.')
            || reserved
        {
            return Err(invalid(
                "collection must begin with a letter or `_`, hold only letters, digits, `_`, `-` \
                 and `.`, not begin with `system.` or end with `.`, and have at most 100 bytes",
            ));
        }
        if let Some(database) = &self.database
            && !is_database(database)
        {
            return Err(invalid("database must be a name of 1 to 63 letters, digits, `_` and `-`"));
        }
        Ok(self)
    }
}

/// Without a URI: for a handler made from a database.
impl Default for MongoConfig {
    fn default() -> Self {
        Self {
            uri: None,
            database: None,
            collection: "sessions".to_owned(),
            timeout: Duration::from_secs(2),
            max_record_bytes: 4 * 1024 * 1024,
            indexes: Indexes::default(),
        }
    }
}

/// Returns whether a name is one that every server takes for a database.
pub(crate) fn is_database(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    (1..=63).contains(&name.len()) && name.bytes().all(plain)
}

const MIN_TIMEOUT: Duration = Duration::from_millis(10);
const MAX_TIMEOUT: Duration = Duration::from_secs(600);
const MAX_RECORD_BYTES: usize = 16 * 1024 * 1024 - 16 * 1024;
const MAX_NAME: usize = 100;

/// Shows everything but the URI: it may hold a password.
impl fmt::Debug for MongoConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { uri: _, database, collection, timeout, max_record_bytes, indexes } = self;
        f.debug_struct("MongoConfig")
            .field("database", database)
            .field("collection", collection)
            .field("timeout", timeout)
            .field("max_record_bytes", max_record_bytes)
            .field("indexes", indexes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use session_core::ErrorKind;

    use super::*;

    fn config() -> MongoConfig {
        MongoConfig::new("mongodb://user:hunter2@host/app")
    }

    #[test]
    fn impossible_settings_are_refused() {
        for bad in [
            config().with_timeout(Duration::ZERO),
            config().with_timeout(Duration::MAX),
            config().with_max_record_bytes(0),
            config().with_max_record_bytes(16 * 1024 * 1024),
            config().with_collection(""),
            config().with_collection("system.users"),
            config().with_collection("$cmd"),
            config().with_collection("a\0b"),
            config().with_collection("a b"),
            config().with_collection("a."),
            config().with_collection("9lives"),
            config().with_collection("x".repeat(101)),
            config().with_database(""),
            config().with_database("a.b"),
            config().with_database("a/b"),
            config().with_database("$external"),
        ] {
            let err = bad.clone().checked().unwrap_err();
            assert_eq!(err.kind(), ErrorKind::InvalidConfig, "{bad:?}");
        }
        assert!(config().with_collection("app.sessions_2").checked().is_ok());
    }

    #[test]
    fn a_database_takes_no_settings_that_would_have_no_effect() {
        assert!(MongoConfig::default().with_collection("a").refuse_connecting().is_ok());
        for bad in [config(), MongoConfig::default().with_database("app")] {
            let err = bad.refuse_connecting().unwrap_err();
            assert_eq!(err.kind(), ErrorKind::InvalidConfig, "{bad:?}");
        }
    }

    #[test]
    fn debug_shows_no_password() {
        let text = format!("{:?}", config());
        assert!(text.contains("sessions") && !text.contains("hunter2"), "{text}");
    }
}
