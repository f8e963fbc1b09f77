//! A table, over connections that are held: the driver's own pool asks the
//! server whether it is still there, twice per statement.

use std::sync::{Mutex, PoisonError};

use sqlx::mysql::MySqlConnection;
use sqlx::{Connection, Executor, Row};
use tokio::sync::Semaphore;

use super::{Data, LIFE};
use crate::Failure;

const CONNECTIONS: usize = 10;
const TABLE: &str = "CREATE TABLE IF NOT EXISTS raw_sessions \
    (id VARBINARY(32) PRIMARY KEY, expires BIGINT NOT NULL, data MEDIUMBLOB NOT NULL)";
const SELECT: &str = "SELECT data FROM raw_sessions WHERE id = ? AND expires > UNIX_TIMESTAMP()";
const INSERT: &str = "INSERT INTO raw_sessions VALUES (?, UNIX_TIMESTAMP() + ?, ?)";
const UPDATE: &str =
    "UPDATE raw_sessions SET expires = UNIX_TIMESTAMP() + ?, data = ? WHERE id = ?";

pub(crate) struct Mysql {
    free: Semaphore,
    connections: Mutex<Vec<MySqlConnection>>,
}

impl Mysql {
    pub(super) async fn connect(uri: &str) -> Result<Self, Failure> {
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(MySqlConnection::connect(uri).await?);
        }
        connections[0].execute(TABLE).await?;
        Ok(Self { free: Semaphore::new(CONNECTIONS), connections: Mutex::new(connections) })
    }

    pub(super) async fn load(&self, id: &str) -> Result<Option<Data>, Failure> {
        let select = sqlx::query(SELECT).bind(id.as_bytes());
        let row = self.with(async |held| select.fetch_optional(held).await).await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(serde_json::from_slice(row.try_get(0)?)?))
    }

    pub(super) async fn create(&self, id: &str, data: &Data) -> Result<(), Failure> {
        let json = serde_json::to_vec(data)?;
        let insert = sqlx::query(INSERT).bind(id.as_bytes()).bind(LIFE.as_secs()).bind(json);
        self.with(async |held| insert.execute(held).await).await?;
        Ok(())
    }

    pub(super) async fn save(&self, id: &str, data: &Data) -> Result<(), Failure> {
        let json = serde_json::to_vec(data)?;
        let update = sqlx::query(UPDATE).bind(LIFE.as_secs()).bind(json).bind(id.as_bytes());
        self.with(async |held| update.execute(held).await).await?;
        Ok(())
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
