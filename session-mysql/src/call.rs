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
        if let Err(failed) = &result
            && !failed.failure.spares_connection()
        {
            self.flush();
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
