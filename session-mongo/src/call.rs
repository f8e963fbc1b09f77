//! Calls to the server: each within its deadline, and tried again where that is
//! safe.

use std::future::Future;
use std::time::{Duration, Instant};

use session_core::{ErrorKind, Operation, OsRandom, Random, Result};

use crate::client::Collections;
use crate::error;
use crate::store::Store;

/// Whether a call may be made again when it may have been executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It must not.
    Never,
    /// It names the version that it makes, and changes nothing but the one that
    /// it names. Executed twice, or late, it does nothing.
    AtVersion,
}

/// How often a call is made whose earlier attempts failed, at the most.
const ATTEMPTS: u32 = 4;
/// The pause before the second attempt, at the most. Doubles.
const PAUSE: Duration = Duration::from_millis(20);

impl Store {
    /// Calls the server: connects if need be, keeps the deadline, and repeats
    /// what it refused to begin.
    pub(crate) async fn call<'a, T, F>(
        &'a self,
        op: Operation,
        attempt: impl Fn(&'a Collections) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        self.call_again(op, Repeat::Never, |to, _| attempt(to)).await
    }

    /// The same, and repeats what may have been executed where that is safe.
    /// Each attempt is told whether an earlier one may have been.
    pub(crate) async fn call_again<'a, T, F>(
        &'a self,
        op: Operation,
        repeat: Repeat,
        attempt: impl Fn(&'a Collections, bool) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let limit = self.config.timeout;
        let begin = Instant::now();
        let call = async {
            let collections = self.collections().await?;
            let (mut made, mut in_doubt) = (1, false);
            loop {
                let err = match attempt(collections, in_doubt).await {
                    Ok(done) => return Ok(done),
                    Err(err) => err,
                };
                in_doubt |= err.is_indeterminate();
                let goes_on = made < ATTEMPTS
                    && err.kind() == ErrorKind::Unavailable
                    && (!in_doubt || repeat == Repeat::AtVersion)
                    // Not so late that this answer would become "no answer".
                    && begin.elapsed() < limit / 2;
                if !goes_on {
                    return Err(err.with_indeterminate(in_doubt));
                }
                tokio::time::sleep(jitter(PAUSE * 2_u32.pow(made - 1))).await;
                made += 1;
            }
        };
        match tokio::time::timeout(limit, call).await {
            Ok(done) => done,
            Err(_) => Err(error::late(op, limit)),
        }
    }
}

/// Returns a random part of a pause, so that callers do not come back together.
fn jitter(pause: Duration) -> Duration {
    let mut byte = [0];
    // Without a generator all wait the whole pause.
    let part = OsRandom.fill(&mut byte).map_or(256, |()| u32::from(byte[0]) + 1);
    pause * part / 256
}
