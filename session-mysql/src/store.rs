//! What all parts of the handler share.

use session_core::{OsRandom, Random, Result};

use crate::client::Client;
use crate::config::MysqlConfig;
use crate::error::NAME;
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

/// Draws a version that no record has had: so a statement that names it can be
/// told from every other, and a key that is destroyed and created again never
/// comes to a version it had.
pub(crate) fn draw_version() -> Result<u64> {
    OsRandom.number().map_err(|err| err.with_backend(NAME))
}
