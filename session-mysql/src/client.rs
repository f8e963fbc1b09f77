//! The server, and the connection that an attempt takes.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use session_core::Result;
use sqlx::mysql::{MySql, MySqlPool, MySqlRow};
use sqlx::pool::PoolConnection;
use sqlx::{MySqlConnection, SqlSafeStr};

use crate::connection::{self, Answer, MAX_PACKET};
use crate::error::Failure;
use crate::pool::{self, Pool};

/// The server, by connections of our own or of the application.
pub(crate) struct Client {
    source: Source,
    pub(crate) timeout: Duration,
}

enum Source {
    Own(Arc<Pool>),
    Theirs {
        pool: MySqlPool,
        /// The server's limit in bytes; 0 as long as it is unknown.
        max_packet: AtomicUsize,
    },
}

impl Client {
    pub(crate) fn own(pool: Pool, timeout: Duration) -> Self {
        Self { source: Source::Own(Arc::new(pool)), timeout }
    }

    pub(crate) fn theirs(pool: MySqlPool, timeout: Duration) -> Self {
        let source = Source::Theirs { pool, max_packet: AtomicUsize::new(0) };
        Self { source, timeout }
    }

    /// Takes a connection, or opens one.
    pub(crate) async fn lease(&self) -> Result<Lease<'_>, Failure> {
        let (pool, known) = match &self.source {
            Source::Own(pool) => return Ok(Lease::Own(pool.take().await?)),
            Source::Theirs { pool, max_packet } => (pool, max_packet),
        };
        // In a box, or the calls of those who give no pool would be as large as this.
        let connection = Box::pin(pool.acquire()).await.map_err(Failure::connecting)?;
        let mut borrowed = Borrowed { connection, max_packet: 0, is_sound: false };
        borrowed.max_packet = match known.load(Ordering::Relaxed) {
            0 => {
                let asked = Box::pin(ask_max_packet(&mut borrowed.connection)).await;
                let max_packet = asked.map_err(Failure::connecting)?;
                known.store(max_packet, Ordering::Relaxed);
                max_packet
            }
            max_packet => max_packet,
        };
        Ok(Lease::Theirs(borrowed))
    }

    /// Drops those of our own connections that nobody uses and that were opened
    /// before an attempt that failed began.
    pub(crate) fn flush(&self, begin: Instant) {
        if let Source::Own(pool) = &self.source {
            pool.flush(begin);
        }
    }

    /// Ends our own connections; those of the application stay.
    pub(crate) async fn close(&self) {
        if let Source::Own(pool) = &self.source {
            let _ = tokio::time::timeout(self.timeout, pool.close()).await;
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pool: &dyn fmt::Debug = match &self.source {
            Source::Own(pool) => pool,
            Source::Theirs { .. } => &"of the application",
        };
        f.debug_struct("Client").field("pool", pool).field("timeout", &self.timeout).finish()
    }
}

async fn ask_max_packet(connection: &mut MySqlConnection) -> sqlx::Result<usize> {
    let sql = MAX_PACKET.into_sql_str();
    let answer: Answer<Option<MySqlRow>> = connection::execute(connection, &sql, &[]).await?;
    connection::max_packet(&answer.rows.ok_or(sqlx::Error::RowNotFound)?)
}

/// A connection for one attempt. Closed if it is dropped and not given back.
pub(crate) enum Lease<'a> {
    Own(pool::Lease<'a>),
    Theirs(Borrowed),
}

impl Lease<'_> {
    pub(crate) fn raw(&mut self) -> &mut MySqlConnection {
        match self {
            Self::Own(lease) => lease.raw(),
            Self::Theirs(borrowed) => &mut borrowed.connection,
        }
    }

    /// Whether it was opened just now. The pool of the application asks the
    /// server before it hands one out, so its connections count as new.
    pub(crate) fn is_new(&self) -> bool {
        match self {
            Self::Own(lease) => lease.is_new(),
            Self::Theirs(_) => true,
        }
    }

    pub(crate) fn idle(&self) -> Duration {
        match self {
            Self::Own(lease) => lease.idle(),
            Self::Theirs(_) => Duration::ZERO,
        }
    }

    pub(crate) fn max_packet(&self) -> usize {
        match self {
            Self::Own(lease) => lease.max_packet(),
            Self::Theirs(borrowed) => borrowed.max_packet,
        }
    }

    pub(crate) fn give_back(self) {
        match self {
            Self::Own(lease) => lease.give_back(),
            Self::Theirs(mut borrowed) => borrowed.is_sound = true,
        }
    }
}

/// A connection of the application.
pub(crate) struct Borrowed {
    connection: PoolConnection<MySql>,
    max_packet: usize,
    /// Whether its last answer was read to the end.
    is_sound: bool,
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        if !self.is_sound {
            self.connection.close_on_drop();
        }
    }
}
