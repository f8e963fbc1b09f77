//! A table, over connections that are held: the driver's own pool asks the
//! server whether it is still there, twice per statement.
//!
//! The table and the statements are those of `session-mysql`: a record is read
//! with its version and what remains, replaced only at that version, and ends by
//! the server's clock.

use std::sync::{Mutex, PoisonError};

use session_mysql::MysqlConfig;
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Connection, Executor, Row, SqlSafeStr, SqlStr};
use tokio::sync::Semaphore;

use super::{Data, Found, LIFE, draw_version};
use crate::Failure;

const CONNECTIONS: usize = 10;
const TABLE: &str = "raw_sessions";
const NOW: &str =
    "TIMESTAMPDIFF(MICROSECOND, TIMESTAMP'1970-01-01 00:00:00', UTC_TIMESTAMP(3)) DIV 1000";
/// Now, even if the row's lock had to be waited for.
const BY_THEN: &str = "(TIMESTAMPDIFF(MICROSECOND, TIMESTAMP'1970-01-01 00:00:00', \
     UTC_TIMESTAMP(3)) + TIMESTAMPDIFF(MICROSECOND, NOW(3), SYSDATE(3))) DIV 1000";

pub(crate) struct Mysql {
    free: Semaphore,
    connections: Mutex<Vec<MySqlConnection>>,
    select: SqlStr,
    insert: SqlStr,
    update: SqlStr,
}

impl Mysql {
    pub(super) async fn connect(uri: &str) -> Result<Self, Failure> {
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut connection = MySqlConnection::connect(uri).await?;
            connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
            connections.push(connection);
        }
        let [table, _] = MysqlConfig::default().with_table(TABLE).ddl()?;
        connections[0].execute(sql(table)).await?;
        let times = format!("{NOW} - ?, {NOW}, {NOW} + ?, {NOW} + ?");
        Ok(Self {
            free: Semaphore::new(CONNECTIONS),
            connections: Mutex::new(connections),
            select: sql(format!(
                "SELECT version, expires - {NOW} AS r, data FROM {TABLE} \
                 WHERE id = ? AND expires > {NOW}"
            )),
            insert: sql(format!(
                "INSERT INTO {TABLE} \
                 (id, version, created, touched, expires, absolute, owner, pointer, data) \
                 VALUES (?, ?, {times}, NULL, 0, ?)"
            )),
            update: sql(format!(
                "UPDATE {TABLE} SET version = ?, created = {NOW} - ?, touched = {NOW}, \
                 expires = {NOW} + ?, absolute = {NOW} + ?, owner = NULL, pointer = 0, data = ? \
                 WHERE id = ? AND version = ? AND expires > {BY_THEN}"
            )),
        })
    }

    pub(super) async fn load(&self, id: &str) -> Result<Option<Found>, Failure> {
        let select = sqlx::query(self.select.clone()).bind(id.as_bytes());
        let row = self.with(async |held| select.fetch_optional(held).await).await?;
        let Some(row) = row else { return Ok(None) };
        let version: u64 = row.try_get(0)?;
        let _remains: i64 = row.try_get(1)?;
        let data = serde_json::from_slice(row.try_get(2)?)?;
        Ok(Some(Found { data, version: version.cast_signed() }))
    }

    pub(super) async fn create(&self, id: &str, data: &Data) -> Result<(), Failure> {
        let insert = sqlx::query(self.insert.clone()).bind(id.as_bytes()).bind(draw_version()?);
        let insert = insert.bind(0_i64).bind(millis()).bind(28 * millis());
        let insert = insert.bind(serde_json::to_vec(data)?);
        self.with(async |held| insert.execute(held).await).await?;
        Ok(())
    }

    pub(super) async fn save(&self, id: &str, found: &Found) -> Result<(), Failure> {
        let update = sqlx::query(self.update.clone()).bind(draw_version()?);
        let update = update.bind(0_i64).bind(millis()).bind(28 * millis());
        let update = update.bind(serde_json::to_vec(&found.data)?);
        let update = update.bind(id.as_bytes()).bind(found.version);
        let done = self.with(async |held| update.execute(held).await).await?;
        if done.rows_affected() == 1 { Ok(()) } else { Err("somebody else wrote first".into()) }
    }

    /// Does something with a connection. One that failed is not replaced.
    async fn with<T>(
        &self,
        job: impl AsyncFnOnce(&mut MySqlConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, Failure> {
        let _place = self.free.acquire().await?;
        let taken = self.connections.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = taken.ok_or("no connection is left")?;
        let done = job(&mut connection).await?;
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        Ok(done)
    }
}

fn millis() -> i64 {
    LIFE.as_secs().cast_signed() * 1000
}

fn sql(text: String) -> SqlStr {
    AssertSqlSafe(text).into_sql_str()
}
