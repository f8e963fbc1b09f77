//! Statements with a deadline, and what is sent again.

use std::time::Duration;

use session_core::{ErrorKind, Operation, OsRandom, Random, Result};
use sqlx::{Connection as _, SqlStr};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::client::{Client, Lease};
use crate::connection::{self, Answer, Rows};
use crate::error::{Failure, Fate};
use crate::param::{self, Param};

/// Attempts at one statement, at the most.
const ATTEMPTS: u32 = 5;
/// A statement that must not be sent twice first asks whether the connection
/// lives, if nobody has used it for so long. The shortest `wait_timeout` of a
/// server is a second.
const QUIET: Duration = Duration::from_millis(500);
/// Any other does so after this long: on a line that a firewall has forgotten it
/// would wait for an answer until its time is over.
const SILENT: Duration = Duration::from_secs(5);

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

impl Repeat {
    /// Returns how long a connection may have been unused and still be trusted.
    const fn trusts(self) -> Duration {
        match self {
            Self::Never => QUIET,
            Self::Harmless | Self::AtVersion => SILENT,
        }
    }
}

impl Client {
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
        let begin = Instant::now();
        // Whoever gets a connection after waiting has time to use it, too: a
        // statement that is given up takes its connection with it.
        let wait = timeout_at(deadline - self.timeout / 8, self.lease());
        let lease = wait.await.unwrap_or_else(|_| Err(Failure::unreached()));
        let lease = lease.map_err(|failure| Attempt { failure, on_new: true })?;
        let on_new = lease.is_new();
        let result = self.send(lease, deadline, repeat, sql, params).await;
        result.map_err(|failure| {
            if !failure.spares_connection() {
                self.flush(begin.into_std());
            }
            Attempt { failure, on_new }
        })
    }

    /// Sends a statement on a connection, which is kept if it can be used again.
    async fn send<R: Rows>(
        &self,
        mut lease: Lease<'_>,
        deadline: Instant,
        repeat: Repeat,
        sql: &SqlStr,
        params: &[Param<'_>],
    ) -> Result<Answer<R>, Failure> {
        if lease.idle() > repeat.trusts() {
            let limit = deadline.min(Instant::now() + self.timeout / 4);
            if !matches!(timeout_at(limit, lease.raw().ping()).await, Ok(Ok(()))) {
                let message = "the connection to the server was lost";
                return Err(Failure::new(Fate::Stale, ErrorKind::Unavailable, message));
            }
        }
        if param::size(params) > lease.max_packet() {
            lease.give_back();
            return Err(Failure::new(
                Fate::Refused,
                ErrorKind::TooLarge,
                "the session is larger than the server's max_allowed_packet; store less, or \
                 raise it",
            ));
        }
        let sending = async {
            let result = connection::execute(lease.raw(), sql, params).await.map_err(Failure::of);
            match result {
                Err(failure) if failure.wants_text() && matches!(lease, Lease::Own(_)) => {
                    let text = Box::pin(connection::execute_text(lease.raw(), sql, params));
                    text.await.map_err(Failure::of)
                }
                result => result,
            }
        };
        let result = timeout_at(deadline, sending).await.unwrap_or_else(|_| Err(late()));
        if result.as_ref().map_or_else(Failure::spares_connection, |_| true) {
            lease.give_back();
        }
        result
    }
}

/// A failed attempt.
struct Attempt {
    failure: Failure,
    /// Whether its connection was opened for it.
    on_new: bool,
}

/// The deadline is over, and the statement is on its way.
fn late() -> Failure {
    Failure::new(Fate::Lost, ErrorKind::Timeout, "the server did not answer in time")
}

/// Waits a little, longer with each attempt and differently for each caller.
async fn pause(attempt: u32, deadline: Instant) {
    let mut byte = [0];
    // Without randomness everybody waits as long; the deadline bounds it all.
    let _ = OsRandom.fill(&mut byte);
    let pause = Duration::from_micros(500 * u64::from(byte[0] % 8 + 1)) * (1 << attempt);
    sleep_until(deadline.min(Instant::now() + pause)).await;
}
