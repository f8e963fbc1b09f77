//! What all parts of the handler share.

use session_core::{Operation, OsRandom, Random, Result};

use crate::client::Client;
use crate::config::MysqlConfig;
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
pub(crate) fn draw_version(op: Operation) -> Result<u64> {
    let mut bytes = [0; 8];
    OsRandom.fill(&mut bytes).map_err(|err| {
        let message = "the operating system's random generator failed";
        crate::error::new(session_core::ErrorKind::Internal, op, message).with_source(err)
    })?;
    Ok(u64::from_le_bytes(bytes))
}
