//! Handlers on tables of their own, and what the scenarios share.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use session_core::{
    Bytes, Error, Result, SessionHandler, SessionKey, Version, WriteMode, WriteOptions,
};
use session_mysql::{MysqlConfig, MysqlHandler};
use session_tests::servers::{Shared, Sql, SqlBuilder};
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, MySqlPool, Row};

/// A lifetime that outlasts every test.
pub(crate) const LONG: Duration = Duration::from_secs(3600);
/// What a slow machine needs longer for is not what most tests are about.
pub(crate) const PATIENT: Duration = Duration::from_secs(30);

/// The servers that a scenario is run on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    MariaDb,
    MySql,
}

impl Kind {
    /// Returns a server of the test's own, which may do as it likes with it.
    pub(crate) const fn own(self) -> SqlBuilder {
        match self {
            Self::MariaDb => Sql::mariadb(),
            Self::MySql => Sql::mysql(),
        }
    }

    /// Returns the server that all tests share.
    pub(crate) const fn shared(self) -> Shared {
        match self {
            Self::MariaDb => Shared::MariaDb,
            Self::MySql => Shared::MySql,
        }
    }
}

/// Makes a test of each scenario and kind of server.
macro_rules! on_both {
    ($($scenario:ident)+) => {
        mod mariadb {
            $(#[test]
            fn $scenario() {
                session_core::testkit::run(super::$scenario(crate::support::Kind::MariaDb));
            })+
        }
        mod mysql {
            $(#[test]
            fn $scenario() {
                session_core::testkit::run(super::$scenario(crate::support::Kind::MySql));
            })+
        }
    };
}

/// Returns the name of a table that no other test has, in this run or another.
pub(crate) fn fresh_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("s_{}_{count}_{:08x}", std::process::id(), fastrand::u32(..))
}

/// Opens a handler on empty tables of its own.
pub(crate) async fn handler(server: Shared) -> MysqlHandler {
    open(config(server)).await
}

/// Opens two handlers on the same empty tables.
pub(crate) async fn two(server: Shared) -> (MysqlHandler, MysqlHandler) {
    let config = config(server);
    (open(config.clone()).await, open(config).await)
}

/// Opens a handler on a pool as an application would have it.
pub(crate) async fn handler_of_pool(server: Shared) -> MysqlHandler {
    let pool = MySqlPool::connect(&server.url()).await.expect("a pool");
    let config = on_a_pool(&config(server));
    let handler = MysqlHandler::from_pool(pool, config).expect("a configuration");
    handler.open().await.expect("open");
    handler
}

pub(crate) async fn open(config: MysqlConfig) -> MysqlHandler {
    MysqlHandler::connect(config).await.expect("open")
}

/// Returns the settings for a pool that leads to the same tables.
pub(crate) fn on_a_pool(config: &MysqlConfig) -> MysqlConfig {
    MysqlConfig::default().with_table(&config.table).with_timeout(config.timeout)
}

/// Returns settings for tables of their own on a shared server.
pub(crate) fn config(server: Shared) -> MysqlConfig {
    config_of(server.url())
}

/// Returns settings for tables of their own.
pub(crate) fn config_of(url: impl Into<String>) -> MysqlConfig {
    MysqlConfig::new(url).with_table(fresh_name()).with_max_connections(6).with_timeout(PATIENT)
}

/// Returns the URL of the server that a configuration names.
pub(crate) fn url(config: &MysqlConfig) -> &str {
    config.url.as_deref().expect("a URL")
}

/// Opens a connection past the handler.
pub(crate) async fn connection(url: &str) -> MySqlConnection {
    MySqlConnection::connect(url).await.expect("a connection")
}

/// Runs statements past the handler.
pub(crate) async fn run(connection: &mut MySqlConnection, sql: impl Into<String>) {
    let sql = AssertSqlSafe(sql.into());
    sqlx::raw_sql(sql).execute(connection).await.expect("a statement past the handler");
}

/// Asks for one number past the handler.
pub(crate) async fn number(connection: &mut MySqlConnection, sql: impl Into<String>) -> i64 {
    let sql = AssertSqlSafe(sql.into());
    sqlx::query_scalar(sql).fetch_one(connection).await.expect("a number")
}

/// Waits until so many statements wait for rows that others have.
pub(crate) async fn until_waiting(server: &Sql, count: u64) {
    until(async || {
        server.status("Innodb_row_lock_current_waits").await.expect("a status") == count
    })
    .await;
}

/// Returns the ids of the connections of the user `tests`. They must be idle:
/// MySQL cannot show statements with bytes in them.
pub(crate) async fn connected(past: &mut MySqlConnection) -> Vec<u64> {
    let rows = sqlx::raw_sql("SHOW PROCESSLIST").fetch_all(past).await.expect("a list");
    let ours = rows.iter().filter(|row| row.get_unchecked::<&str, _>("User") == "tests");
    ours.map(|row| row.get_unchecked("Id")).collect()
}

pub(crate) fn fresh_key() -> SessionKey {
    let mut bytes = [0; 32];
    fastrand::fill(&mut bytes);
    SessionKey::from_bytes(bytes)
}

pub(crate) const fn creating() -> WriteOptions {
    WriteOptions::new(WriteMode::Create, LONG)
}

pub(crate) const fn replacing() -> WriteOptions {
    WriteOptions::new(WriteMode::Replace, LONG)
}

pub(crate) const fn at(version: Version) -> WriteOptions {
    WriteOptions::new(WriteMode::IfVersion(version), LONG)
}

/// Creates a session, and expects that it works.
pub(crate) async fn created(
    handler: &MysqlHandler,
    payload: &'static str,
) -> (SessionKey, Version) {
    let key = fresh_key();
    let version = handler.write(&key, payload.into(), &creating()).await.expect("create");
    (key, version)
}

/// Expects a live session with this payload.
pub(crate) async fn holds(handler: &MysqlHandler, key: &SessionKey, payload: &str) {
    let stored = handler.read(key).await.expect("read").expect("a live session");
    assert_eq!(stored.payload, payload.as_bytes());
}

/// Expects that a handler does all that it should.
pub(crate) async fn works(handler: &MysqlHandler) {
    let (key, version) = created(handler, "first").await;
    handler.write(&key, Bytes::from_static(b"second"), &at(version)).await.expect("write");
    holds(handler, &key, "second").await;
    assert!(handler.touch(&key, 2 * LONG).await.expect("touch"));
    assert!(handler.destroy(&key, None).await.expect("destroy"));
    assert!(handler.read(&key).await.expect("read").is_none());
}

/// Asks again and again until the answer is yes. What never comes runs into the
/// time limit of the test.
pub(crate) async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    while !is_so().await {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Expects an error, and returns it with everything that it has to say.
pub(crate) fn told<T>(result: Result<T>) -> (Error, String) {
    let Err(err) = result else { panic!("it worked, although it must not") };
    let mut text = format!("{err} {err:?}");
    let mut source = std::error::Error::source(&err);
    while let Some(cause) = source {
        text += &format!(" {cause} {cause:?}");
        source = cause.source();
    }
    (err, text)
}
