//! One operation: a command, the server it belongs to, a deadline, and what to do
//! when it fails.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redis::{Cmd, Pipeline, RedisError, Value};
use session_core::{ErrorKind, Operation};
use tokio::time::{Instant, sleep, timeout_at};

use crate::client::{Acks, Client, Node, Place};
use crate::error::{self, Failure, Next};
use crate::link::Live;
use crate::scripts::Script;

/// Whether a command may be sent again when the connection was lost, so that
/// nobody knows whether it was executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Doing it twice is doing it once.
    Harmless,
    Never,
}

/// What a write was answered with.
pub(crate) struct Answer {
    pub(crate) value: Value,
    /// Why the write may be lost although it happened.
    pub(crate) unconfirmed: Option<Failure>,
}

/// One operation on the store, of one command or several, with one deadline.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    client: &'a Client,
    pub(crate) op: Operation,
    until: Instant,
}

/// How far the attempts have come.
#[derive(Default)]
struct Progress {
    /// The connection on which a command waits for its answer.
    on: Option<Live>,
    /// What the last attempt failed of.
    failure: Option<Failure>,
    /// Whether an earlier attempt may have been executed, whatever became of the last.
    in_doubt: bool,
}

impl<'a> Call<'a> {
    /// Begins: the deadline counts from now.
    pub(crate) fn new(client: &'a Client, op: Operation) -> Self {
        Self { client, op, until: Instant::now() + client.timeout }
    }

    /// Returns a slot of each server that has any.
    pub(crate) async fn slots(&self) -> Result<Vec<u16>, Failure> {
        timeout_at(self.until, self.client.slots())
            .await
            .unwrap_or_else(|_| Err(error::unreached()))
    }

    /// Sends a command and waits for its answer, as often as it takes.
    pub(crate) async fn ask(
        &self,
        place: Place<'_>,
        cmd: &Cmd,
        repeat: Repeat,
    ) -> Result<Value, Failure> {
        self.within_time(place, cmd, None, repeat).await.map(|answer| answer.value)
    }

    /// The same for a command that writes: waits for replicas, if that is wanted.
    pub(crate) async fn tell(
        &self,
        place: Place<'_>,
        cmd: &Cmd,
        repeat: Repeat,
    ) -> Result<Answer, Failure> {
        self.within_time(place, cmd, self.client.acks, repeat).await
    }

    /// Runs a script that writes, by its hash, or by its text if the server has
    /// forgotten it.
    pub(crate) async fn run(
        &self,
        place: Place<'_>,
        script: &Script,
        repeat: Repeat,
        fill: impl Fn(&mut Cmd),
    ) -> Result<Answer, Failure> {
        let mut cmd = script.by_hash();
        fill(&mut cmd);
        match self.tell(place, &cmd, repeat).await {
            Err(forgotten) if forgotten.next == Next::SendScript => {
                let mut cmd = script.by_text();
                fill(&mut cmd);
                let done = self.tell(place, &cmd, repeat).await;
                done.map_err(|failure| failure.doubted(forgotten.in_doubt))
            }
            done => done,
        }
    }

    async fn within_time(
        &self,
        place: Place<'_>,
        cmd: &Cmd,
        acks: Option<Acks>,
        repeat: Repeat,
    ) -> Result<Answer, Failure> {
        let mut progress = Progress::default();
        let attempts = self.attempts(place, cmd, acks, repeat, &mut progress);
        let done = timeout_at(self.until, attempts).await;
        let in_doubt = progress.in_doubt;
        done.unwrap_or_else(|_| Err(self.late(progress)))
            .map_err(|failure| failure.doubted(in_doubt))
    }

    async fn attempts(
        &self,
        place: Place<'_>,
        cmd: &Cmd,
        acks: Option<Acks>,
        repeat: Repeat,
        progress: &mut Progress,
    ) -> Result<Answer, Failure> {
        let mut tries = 0;
        let mut asking = None;
        loop {
            let attempt = self.attempt(place, cmd, acks, asking.take(), progress).await;
            let failure = match attempt {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            progress.in_doubt |= failure.next == Next::Lost;
            match &failure.next {
                Next::GiveUp | Next::SendScript | Next::Syntax => return Err(failure),
                Next::Lost if repeat == Repeat::Never => return Err(failure),
                Next::Ask(to) => asking = self.client.redirected(place, to),
                Next::Moved(to) => self.client.moved(place, to),
                Next::Lost | Next::Reconnect => self.client.lost_track(),
                Next::Again => {
                    if failure.kind == ErrorKind::Unavailable {
                        self.client.lost_track();
                    }
                }
            }
            // What was just redirected or cut off goes on at once, but only once.
            if tries > 0 || failure.next == Next::Again {
                let pause = pause(tries);
                // The last quarter is left for an answer, so that a server that keeps refusing or
                // redirecting is reported as such and not as a timeout.
                let last = self.until - self.client.timeout / 4;
                if failure.next != Next::Lost && Instant::now() + pause > last {
                    return Err(failure);
                }
                sleep(pause).await;
            }
            tries += 1;
            progress.failure = Some(failure);
        }
    }

    async fn attempt(
        &self,
        place: Place<'_>,
        cmd: &Cmd,
        acks: Option<Acks>,
        asking: Option<Arc<Node>>,
        progress: &mut Progress,
    ) -> Result<Answer, Failure> {
        let ask = asking.is_some();
        let node = match asking {
            Some(node) => node,
            None => self.client.node(place).await?,
        };
        let link = if acks.is_some() { &node.waiting } else { &node.shared };
        let live = &*progress.on.insert(link.connected(&node.dialer).await?);
        let mut connection = live.connection.clone();
        let sent = if ask || acks.is_some() {
            let pipeline = along(cmd, ask, acks);
            let count = pipeline.len();
            let values = live.hear(connection.send_packed_commands(&pipeline, 0, count)).await;
            values.and_then(|values| answers(values, ask, acks))
        } else {
            live.hear(connection.send_packed_command(cmd)).await.map(Answer::sure)
        };
        let result = sent.and_then(|answer| match answer.value {
            Value::ServerError(err) => Err(RedisError::from(err)),
            _ => Ok(answer),
        });
        let result = result.map_err(|err| {
            let failure = error::from_driver(&err, live.unheard());
            if matches!(failure.next, Next::Lost | Next::Reconnect) {
                live.leave();
            }
            failure
        });
        progress.on = None;
        result
    }

    /// Says what has come of an operation whose time is up.
    ///
    /// A connection on which nobody answered in time is not used again: what is
    /// sent on a dead one would wait for the system to notice.
    fn late(&self, progress: Progress) -> Failure {
        if let Some(live) = progress.on {
            live.leave();
            self.client.lost_track();
            return error::late(live.unheard());
        }
        progress.failure.unwrap_or_else(error::unreached)
    }
}

impl Answer {
    const fn sure(value: Value) -> Self {
        Self { value, unconfirmed: None }
    }
}

/// Puts what must go along with a command around it.
fn along(cmd: &Cmd, ask: bool, acks: Option<Acks>) -> Pipeline {
    let mut pipeline = Pipeline::with_capacity(3);
    if ask {
        pipeline.cmd("ASKING");
    }
    pipeline.add_command(cmd.clone());
    if let Some(Acks { replicas, millis }) = acks {
        pipeline.cmd("WAIT").arg(replicas).arg(millis);
    }
    pipeline
}

/// Takes the answers to a command and to what went along with it.
fn answers(values: Vec<Value>, ask: bool, acks: Option<Acks>) -> Result<Answer, RedisError> {
    let mut values = values.into_iter().skip(usize::from(ask));
    let value = values.next().unwrap_or(Value::Nil);
    let unconfirmed = match (acks, values.next()) {
        (Some(acks), Some(Value::Int(count))) if count >= i64::from(acks.replicas) => None,
        (Some(acks), Some(Value::Int(count))) => Some(Failure::new(
            ErrorKind::Unavailable,
            Next::Lost,
            format!(
                "done, but {count} of {} replicas confirmed it in time, so a failover may undo it",
                acks.replicas
            ),
        )),
        (Some(_), _) => Some(Failure::new(
            ErrorKind::Unavailable,
            Next::Lost,
            "done, but the server does not say whether replicas have it (WAIT is refused)",
        )),
        (None, _) => None,
    };
    Ok(Answer { value, unconfirmed })
}

/// Returns how long to wait before the next attempt: 5 ms and doubling up to
/// 160 ms, each by up to half shorter, so that callers do not march in step.
fn pause(tries: u32) -> Duration {
    let longest = Duration::from_millis(5 << tries.min(5));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    longest - longest / 2 * (now.subsec_nanos() % 1000) / 1000
}
