//! What the operations share, and reading.

use session_core::{Operation, OsRandom, Random, Result, SessionKey, Stored};
use sqlx::mysql::MySqlRow;

use crate::call::Repeat;
use crate::client::Client;
use crate::config::MysqlConfig;
use crate::connection::Answer;
use crate::error::NAME;
use crate::record::{self, column};
use crate::sql::Statements;
use crate::table::Tables;

/// A pair of tables on a server.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) client: Client,
    pub(crate) sql: Statements,
    pub(crate) tables: Tables,
    pub(crate) config: MysqlConfig,
}

impl Store {
    /// Checks the settings. Nothing is looked up.
    pub(crate) fn new(client: Client, config: MysqlConfig) -> Result<Self> {
        let tables = config.checked()?;
        Ok(Self { client, sql: Statements::new(&tables), tables, config })
    }

    /// Reads a live session.
    pub(crate) async fn read(&self, key: &SessionKey) -> Result<Option<Stored>> {
        let op = Operation::Read;
        let answer: Answer<Option<MySqlRow>> =
            self.client.call(op, Repeat::Harmless, &self.sql.read, &[key.into()]).await?;
        answer.rows.map(record::stored).transpose()
    }

    /// Returns the version of a live record.
    async fn version(&self, op: Operation, key: &SessionKey) -> Result<Option<u64>> {
        let answer: Answer<Option<MySqlRow>> =
            self.client.call(op, Repeat::Harmless, &self.sql.version, &[key.into()]).await?;
        answer.rows.map(|row| column(op, &row, 0)).transpose()
    }

    /// Returns the same after a statement that changed nothing. If that one is in
    /// doubt, so is what cannot be looked at.
    pub(crate) async fn version_after(
        &self,
        op: Operation,
        key: &SessionKey,
        in_doubt: bool,
    ) -> Result<Option<u64>> {
        self.version(op, key).await.map_err(|err| err.with_indeterminate(in_doubt))
    }
}

/// Draws a version that no record has had: so a statement that names it can be
/// told from every other, and a key that is destroyed and created again never
/// comes to a version it had.
pub(crate) fn draw_version() -> Result<u64> {
    OsRandom.number().map_err(|err| err.with_backend(NAME))
}
