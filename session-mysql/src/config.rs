//! Which server and table, and how long to wait for them.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use session_core::Result;

use crate::error;
use crate::table::Tables;

/// What `open` does about the tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Schema {
    /// Makes the tables that are missing, then checks them. Needs the right to
    /// create tables only where one is missing. The default.
    #[default]
    Create,
    /// Checks the tables and makes none.
    Check,
}

/// Which server and table, and how long to wait for them.
///
/// Deserializes from any format; unknown fields are errors, and all have
/// defaults. `Debug` hides the URL.
///
/// ```
/// use std::time::Duration;
/// use session_mysql::MysqlConfig;
///
/// let config = MysqlConfig::new("mysql://app:secret@db.example/app?ssl-mode=verify_identity")
///     .with_table("web_sessions")
///     .with_timeout(Duration::from_secs(1));
/// assert!(!format!("{config:?}").contains("secret"));
/// ```
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct MysqlConfig {
    /// The server, user and database:
    /// `mysql://user:password@host:3306/database?ssl-mode=verify_identity`.
    /// May hold a password. Default none, which only a handler made
    /// [from a pool](crate::MysqlHandler::from_pool) can do with.
    pub url: Option<String>,
    /// The table of the sessions, as `table` or `database.table`: letters,
    /// digits, `_` and `$`, at most 58. The table of the locks has the same
    /// name with `_locks` at its end. Default `sessions`.
    pub table: String,
    /// What [`open`](session_core::SessionHandler::open) does about the tables.
    pub schema: Schema,
    /// The longest payload in bytes. Default 4 MiB, at least 1, at most
    /// 16,777,215 (a `MEDIUMBLOB`). The server's `max_allowed_packet` may be
    /// less, and then decides.
    pub max_record_bytes: usize,
    /// Connections that are open at the same time; more calls wait for their
    /// turn. Default 16, at least 1, at most 10,000. A pool of the application's
    /// has a limit of its own.
    pub max_connections: usize,
    /// How long one statement may take with everything that it waits for: a
    /// connection, the server, locks, retries. In seconds when read from a
    /// file. Default 2 s, at least 10 ms, at most an hour. The server waits for
    /// a lock half as long, but in whole seconds and one at the least. With a
    /// timeout of a second or less the server may still execute a statement that
    /// was given up.
    #[serde(with = "session_core::seconds")]
    pub timeout: Duration,
    /// How long a connection is used before a new one takes its place, so that
    /// a change of address is noticed. In seconds when read from a file.
    /// Default 30 min, at least 1 s. A pool of the application's has one of its
    /// own.
    #[serde(with = "session_core::seconds")]
    pub max_lifetime: Duration,
}

/// What a `MEDIUMBLOB` holds.
const MAX_RECORD_BYTES: usize = (1 << 24) - 1;
const MAX_CONNECTIONS: usize = 10_000;
const TIMEOUT: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(3600);
/// With less there would be a new connection for every call.
const MIN_LIFETIME: Duration = Duration::from_secs(1);

impl MysqlConfig {
    /// Takes the URL and defaults for the rest.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: Some(url.into()), ..Self::default() }
    }

    /// Sets the table of the sessions.
    #[must_use]
    pub fn with_table(mut self, table: impl Into<String>) -> Self {
        self.table = table.into();
        self
    }

    /// Sets what `open` does about the tables.
    #[must_use]
    pub const fn with_schema(mut self, schema: Schema) -> Self {
        self.schema = schema;
        self
    }

    /// Sets the longest payload in bytes.
    #[must_use]
    pub const fn with_max_record_bytes(mut self, max_record_bytes: usize) -> Self {
        self.max_record_bytes = max_record_bytes;
        self
    }

    /// Sets how many connections may be open at the same time.
    #[must_use]
    pub const fn with_max_connections(mut self, max_connections: usize) -> Self {
        self.max_connections = max_connections;
        self
    }

    /// Sets how long one statement may take with everything that it waits for.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how long a connection is used.
    #[must_use]
    pub const fn with_max_lifetime(mut self, max_lifetime: Duration) -> Self {
        self.max_lifetime = max_lifetime;
        self
    }

    /// Returns the statements that make the tables, for whoever has the right to.
    ///
    /// They do nothing to tables that exist.
    ///
    /// ```
    /// use session_mysql::MysqlConfig;
    ///
    /// let [sessions, locks] = MysqlConfig::default().with_table("app.s").ddl()?;
    /// assert!(sessions.starts_with("CREATE TABLE IF NOT EXISTS `app`.`s` ("));
    /// assert!(locks.starts_with("CREATE TABLE IF NOT EXISTS `app`.`s_locks` ("));
    /// # Ok::<(), session_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](session_core::ErrorKind::InvalidConfig) if `table` is no
    /// plain name.
    pub fn ddl(&self) -> Result<[String; 2]> {
        Ok(Tables::parse(&self.table)?.ddl())
    }

    /// Refuses what a pool of the application's decides.
    pub(crate) fn refuse_connecting(&self) -> Result<()> {
        let Self { url, max_connections, max_lifetime, .. } = Self::default();
        if (&self.url, self.max_connections, self.max_lifetime)
            == (&url, max_connections, max_lifetime)
        {
            return Ok(());
        }
        Err(error::invalid(
            "the pool knows the server; leave out url, max_connections and max_lifetime",
        ))
    }

    /// Checks everything but the URL.
    pub(crate) fn checked(&self) -> Result<Tables> {
        if !(1..=MAX_RECORD_BYTES).contains(&self.max_record_bytes) {
            return Err(error::invalid("max_record_bytes must be from 1 to 16777215"));
        }
        if !(1..=MAX_CONNECTIONS).contains(&self.max_connections) {
            return Err(error::invalid("max_connections must be from 1 to 10000"));
        }
        if !TIMEOUT.contains(&self.timeout) {
            return Err(error::invalid("timeout must be from 0.01 to 3600 seconds"));
        }
        if self.max_lifetime < MIN_LIFETIME {
            return Err(error::invalid("max_lifetime must be 1 second or more"));
        }
        Tables::parse(&self.table)
    }
}

/// Without a URL: for a handler made from a pool.
impl Default for MysqlConfig {
    fn default() -> Self {
        Self {
            url: None,
            table: "sessions".to_owned(),
            schema: Schema::default(),
            max_record_bytes: 4 * 1024 * 1024,
            max_connections: 16,
            timeout: Duration::from_secs(2),
            max_lifetime: Duration::from_secs(30 * 60),
        }
    }
}

impl fmt::Debug for MysqlConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            url: _,
            table,
            schema,
            max_record_bytes,
            max_connections,
            timeout,
            max_lifetime,
        } = self;
        f.debug_struct("MysqlConfig")
            .field("table", table)
            .field("schema", schema)
            .field("max_record_bytes", max_record_bytes)
            .field("max_connections", max_connections)
            .field("timeout", timeout)
            .field("max_lifetime", max_lifetime)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use session_core::ErrorKind;

    use super::*;

    #[test]
    fn impossible_settings_are_refused() {
        let good = || MysqlConfig::new("mysql://h/d");
        assert!(good().checked().is_ok());
        for bad in [
            good().with_table("a`b"),
            good().with_max_record_bytes(0),
            good().with_max_record_bytes(1 << 24),
            good().with_max_connections(0),
            good().with_timeout(Duration::ZERO),
            good().with_timeout(Duration::MAX),
            good().with_max_lifetime(Duration::from_millis(999)),
        ] {
            assert_eq!(bad.checked().unwrap_err().kind(), ErrorKind::InvalidConfig, "{bad:?}");
        }
    }

    #[test]
    fn a_pool_takes_no_settings_that_would_have_no_effect() {
        let good = MysqlConfig::default().with_table("a.b").with_timeout(Duration::from_secs(1));
        assert!(good.refuse_connecting().is_ok());
        for bad in [
            MysqlConfig::new("mysql://h/d"),
            good.clone().with_max_connections(17),
            good.with_max_lifetime(Duration::from_secs(60)),
        ] {
            let err = bad.refuse_connecting().unwrap_err();
            assert_eq!(err.kind(), ErrorKind::InvalidConfig, "{bad:?}");
        }
    }

    #[test]
    fn debug_does_not_show_the_url() {
        let text = format!("{:?}", MysqlConfig::new("mysql://ann:hunter2@h/d"));
        assert!(!text.contains("hunter2") && !text.contains("ann"), "{text}");
    }
}
