//! Statements with a deadline: which connection they take, and what is sent again.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use session_core::{ErrorKind, Operation, OsRandom, Random, Result};
use sqlx::mysql::{MySql, MySqlPool, MySqlRow};
use sqlx::pool::PoolConnection;
use sqlx::{Connection as _, MySqlConnection, SqlSafeStr, SqlStr};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::connection::{self, Answer, MAX_PACKET, Rows};
use crate::error::{Failure, Fate};
use crate::param::{self, Param};
use crate::pool::{self, Pool};

/// Attempts at one statement, at the most.
const ATTEMPTS: u32 = 5;
/// A statement that must not be sent twice first asks whether the connection
/// lives, if nobody has used it for so long. The shortest `wait_timeout` of a
/// server is a second.
const QUIET: Duration = Duration::from_millis(500);

/// Whether a statement may be sent again when it may have been executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It changes nothing.
    Harmless,
    /// It names the version that it changes, and the one it makes. Executed
    /// twice, or late, it does nothing.
    AtVersion,
    /// It must not.
    Never,
}

/// The server, by connections of our own or of the application.
pub(crate) struct Client {
    source: Source,
    timeout: Duration,
}

enum Source {
    Own(Box<Pool>),
    Theirs {
        pool: MySqlPool,
        /// The server's limit in bytes; 0 as long as it is unknown.
        max_packet: AtomicUsize,
    },
}

impl Client {
    pub(crate) fn own(pool: Pool, timeout: Duration) -> Self {
        Self { source: Source::Own(Box::new(pool)), timeout }
    }

    pub(crate) fn theirs(pool: MySqlPool, timeout: Duration) -> Self {
        let source = Source::Theirs { pool, max_packet: AtomicUsize::new(0) };
        Self { source, timeout }
    }

    /// Executes a statement, and again where that is safe, within the deadline.
    pub(crate) async fn call<R: Rows>(
        &self,
        op: Operation,
        repeat: Repeat,
        sql: &SqlStr,
        params: &[Param<'_>],
    ) -> Result<Answer<R>> {
        self.try_call(repeat, sql, params).await.map_err(|(failure, in_doubt)| {
            failure.into_error(op, in_doubt && repeat != Repeat::Harmless)
        })
    }

    /// The same, with what went wrong and whether it may have happened.
    pub(crate) async fn try_call<R: Rows>(
        &self,
        repeat: Repeat,
        sql: &SqlStr,
        params: &[Param<'_>],
    ) -> Result<Answer<R>, (Failure, bool)> {
        let deadline = Instant::now() + self.timeout;
        let mut in_doubt = false;
        let mut attempt = 1;
        loop {
            let failed = match self.attempt(deadline, repeat, sql, params).await {
                Ok(answer) => return Ok(Answer { in_doubt, ..answer }),
                Err(failed) => failed,
            };
            in_doubt |= failed.failure.fate == Fate::Lost;
            let goes_on = attempt < ATTEMPTS
                && Instant::now() < deadline
                && match failed.failure.fate {
                    Fate::Refused => false,
                    Fate::Contended => {
                        pause(attempt, deadline).await;
                        true
                    }
                    Fate::Stale => !failed.on_new,
                    Fate::Lost => repeat != Repeat::Never && !(failed.on_new && attempt > 1),
                };
            if !goes_on {
                return Err((failed.failure, in_doubt));
            }
            attempt += 1;
        }
    }

    async fn attempt<R: Rows>(
        &self,
        deadline: Instant,
        repeat: Repeat,
        sql: &SqlStr,
        params: &[Param<'_>],
    ) -> Result<Answer<R>, Attempt> {
        let mut sent = false;
        let attempt = timeout_at(deadline, async {
            let mut lease = self.lease().await.map_err(Attempt::on_new)?;
            let on_new = lease.is_new();
            let fail = |failure| Attempt { failure, on_new };
            if repeat == Repeat::Never && lease.idle() > QUIET && lease.raw().ping().await.is_err()
            {
                return Err(fail(Failure::new(
                    Fate::Stale,
                    ErrorKind::Unavailable,
                    "the connection to the server was lost",
                )));
            }
            if param::size(params) > lease.max_packet() {
                lease.give_back();
                return Err(fail(Failure::new(
                    Fate::Refused,
                    ErrorKind::TooLarge,
                    "the session is larger than the server's max_allowed_packet; store less, or \
                     raise it",
                )));
            }
            sent = true;
            let mut result =
                connection::execute(lease.raw(), sql, params).await.map_err(Failure::of);
            if let (Err(failure), Lease::Own(_)) = (&result, &lease)
                && failure.wants_text()
            {
                let text = Box::pin(connection::execute_text(lease.raw(), sql, params));
                result = text.await.map_err(Failure::of);
            }
            if result.as_ref().map_or_else(Failure::spares_connection, |_| true) {
                lease.give_back();
            }
            result.map_err(fail)
        });
        let result = attempt.await.unwrap_or_else(|_| Err(late(sent)));
        if let (Err(failed), Source::Own(pool)) = (&result, &self.source)
            && !failed.failure.spares_connection()
        {
            pool.flush();
        }
        result
    }

    async fn lease(&self) -> Result<Lease<'_>, Failure> {
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

/// A failed attempt.
struct Attempt {
    failure: Failure,
    /// Whether its connection was opened for it.
    on_new: bool,
}

impl Attempt {
    const fn on_new(failure: Failure) -> Self {
        Self { failure, on_new: true }
    }
}

/// The deadline is over. `sent` says whether the statement was on its way.
fn late(sent: bool) -> Attempt {
    let (fate, message) = if sent {
        (Fate::Lost, "the server did not answer in time")
    } else {
        (Fate::Stale, "no connection in time: all are busy, or the server does not answer")
    };
    Attempt::on_new(Failure::new(fate, ErrorKind::Timeout, message))
}

/// Waits a little, longer with each attempt and differently for each caller.
async fn pause(attempt: u32, deadline: Instant) {
    let mut byte = [0];
    // Without randomness everybody waits as long; the deadline bounds it all.
    let _ = OsRandom.fill(&mut byte);
    let pause = Duration::from_micros(500 * u64::from(byte[0] % 8 + 1)) * (1 << attempt);
    sleep_until(deadline.min(Instant::now() + pause)).await;
}

async fn ask_max_packet(connection: &mut MySqlConnection) -> sqlx::Result<usize> {
    let sql = MAX_PACKET.into_sql_str();
    let answer: Answer<Option<MySqlRow>> = connection::execute(connection, &sql, &[]).await?;
    connection::max_packet(&answer.rows.ok_or(sqlx::Error::RowNotFound)?)
}

/// A connection for one attempt. Closed if it is dropped and not given back.
enum Lease<'a> {
    Own(pool::Lease<'a>),
    Theirs(Borrowed),
}

impl Lease<'_> {
    fn raw(&mut self) -> &mut MySqlConnection {
        match self {
            Self::Own(lease) => lease.raw(),
            Self::Theirs(borrowed) => &mut borrowed.connection,
        }
    }

    /// Whether it was opened just now. The pool of the application asks the
    /// server before it hands one out, so its connections count as new.
    fn is_new(&self) -> bool {
        match self {
            Self::Own(lease) => lease.is_new(),
            Self::Theirs(_) => true,
        }
    }

    fn idle(&self) -> Duration {
        match self {
            Self::Own(lease) => lease.idle(),
            Self::Theirs(_) => Duration::ZERO,
        }
    }

    fn max_packet(&self) -> usize {
        match self {
            Self::Own(lease) => lease.max_packet(),
            Self::Theirs(borrowed) => borrowed.max_packet,
        }
    }

    fn give_back(self) {
        match self {
            Self::Own(lease) => lease.give_back(),
            Self::Theirs(mut borrowed) => borrowed.is_sound = true,
        }
    }
}

/// A connection of the application.
struct Borrowed {
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
