//! Our own connections: a bounded stack, nothing sent when one is taken or
//! given back.
//!
//! sqlx's pool asks the server when a connection is taken and when it is given
//! back; that is two round trips more for each statement, and the second cannot
//! be turned off.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::SqlStr;
use sqlx::mysql::MySqlConnectOptions;
use sqlx::{Connection as _, MySqlConnection};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

use crate::connection::{self, Connection};
use crate::error::Failure;
use crate::url;

/// A connection that nobody needed for so long is closed when another is given back.
const IDLE: Duration = Duration::from_secs(60);
/// How long a connection may take to open, if calls have less time.
const OPENING: Duration = Duration::from_secs(1);

/// A bounded stack of connections. The one that was used last is taken first.
pub(crate) struct Pool {
    options: MySqlConnectOptions,
    init: SqlStr,
    /// How long a connection may take to open.
    opening: Duration,
    max_lifetime: Duration,
    /// Lets waiting calls in by their order.
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

impl Pool {
    pub(crate) fn new(
        url: &str,
        max_connections: usize,
        timeout: Duration,
        max_lifetime: Duration,
    ) -> session_core::Result<Self> {
        Ok(Self {
            options: url::options(url)?,
            init: connection::init(timeout),
            opening: timeout.max(OPENING),
            max_lifetime,
            permits: Arc::new(Semaphore::new(max_connections)),
            idle: Mutex::default(),
        })
    }

    /// Takes the connection that was used last, or opens one.
    pub(crate) async fn take(self: &Arc<Self>) -> Result<Lease<'_>, Failure> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|_| Failure::closed())?;
        if let Some(connection) = self.fresh_enough() {
            return Ok(Lease { pool: self, connection, is_new: false, _permit: permit });
        }
        let (to, opened) = oneshot::channel();
        tokio::spawn(Arc::clone(self).open(permit, to));
        let (connection, permit) = opened.await.map_err(|_| Failure::closed())??;
        Ok(Lease { pool: self, connection, is_new: true, _permit: permit })
    }

    /// Opens a connection for the call that asked for it, or for the next one if
    /// that has given up.
    ///
    /// A call that has waited long has little time left. If its connection were
    /// given up with it, none would ever be opened while calls queue.
    async fn open(self: Arc<Self>, permit: OwnedSemaphorePermit, to: oneshot::Sender<Opened>) {
        let opening = timeout(self.opening, Connection::open(&self.options, &self.init));
        let opened = match opening.await {
            Ok(Ok(connection)) => Ok((connection, permit)),
            Ok(Err(err)) => Err(Failure::connecting(err)),
            Err(_) => Err(Failure::unreached()),
        };
        if let Err(Ok((connection, _permit))) = to.send(opened) {
            self.keep(connection);
        }
    }

    fn fresh_enough(&self) -> Option<Connection> {
        let mut idle = self.idle();
        while let Some(connection) = idle.pop() {
            if connection.opened.elapsed() < self.max_lifetime {
                return Some(connection);
            }
        }
        None
    }

    /// Puts back a connection of which every answer was read to its end.
    fn keep(&self, mut connection: Connection) {
        if self.permits.is_closed() {
            return;
        }
        connection.used = Instant::now();
        let mut idle = self.idle();
        idle.push(connection);
        // The bottom of the stack is what was used longest ago.
        let old = if idle[0].used.elapsed() > IDLE { Some(idle.remove(0)) } else { None };
        drop(idle);
        drop(old);
    }

    /// Drops the connections that nobody uses and that were opened before an
    /// attempt that failed began: they are no better than its own.
    pub(crate) fn flush(&self, begin: Instant) {
        let old: Vec<_> = self.idle().extract_if(.., |idle| idle.opened <= begin).collect();
        drop(old);
    }

    /// Ends all connections. Calls that wait for one are refused.
    pub(crate) async fn close(&self) {
        self.permits.close();
        let idle = std::mem::take(&mut *self.idle());
        for connection in idle {
            // It is closed either way; this only tells the server first.
            let _ = connection.raw.close().await;
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shows nothing of the options, which hold the password.
impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("idle", &self.idle().len()).finish_non_exhaustive()
    }
}

/// What becomes of an attempt to connect.
type Opened = Result<(Connection, OwnedSemaphorePermit), Failure>;

/// A connection for one statement.
///
/// Dropped, it is closed: a call that was cancelled may have left an answer in
/// it that belongs to nobody else. Only [`give_back`](Self::give_back) keeps it.
pub(crate) struct Lease<'a> {
    pool: &'a Arc<Pool>,
    connection: Connection,
    is_new: bool,
    _permit: OwnedSemaphorePermit,
}

impl Lease<'_> {
    pub(crate) fn raw(&mut self) -> &mut MySqlConnection {
        &mut self.connection.raw
    }

    pub(crate) fn is_new(&self) -> bool {
        self.is_new
    }

    pub(crate) fn max_packet(&self) -> usize {
        self.connection.max_packet
    }

    /// Returns how long nobody has used it.
    pub(crate) fn idle(&self) -> Duration {
        self.connection.used.elapsed()
    }

    /// Puts the connection back, after its statement was answered to the end.
    pub(crate) fn give_back(self) {
        let Self { pool, connection, _permit, .. } = self;
        pool.keep(connection);
    }
}
