//! Connections for looking at a server from outside.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, IntoConnectionInfo};

use crate::servers::Result;

/// The driver gives up after half a second, in which a busy machine may not get to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Opens a connection on which an answer may take ten seconds.
///
/// # Errors
///
/// If the server does not answer.
pub async fn redis_connection(to: impl IntoConnectionInfo) -> Result<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE));
    let client = redis::Client::open(to)?;
    Ok(client.get_multiplexed_async_connection_with_config(&config).await?)
}
