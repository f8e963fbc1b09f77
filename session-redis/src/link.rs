//! A connection that all calls share, made anew when it is lost.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use redis::RedisResult;
use redis::aio::MultiplexedConnection;
#[cfg(any(feature = "cluster", feature = "sentinel"))]
use redis::{Cmd, RedisError, Value};
use tokio::time::Instant;

use crate::dial::Dialer;
use crate::error::{self, Failure};
use crate::work::Work;

/// After a failed attempt to connect, nobody tries for this long, so that a
/// crowd of callers does not become a crowd of connections.
const REST: Duration = Duration::from_millis(20);

/// A place for one connection to one server.
pub(crate) struct Link {
    live: RwLock<Option<Live>>,
    /// Held while waiting for a connection, which is made once for all.
    turn: tokio::sync::Mutex<Turn>,
}

struct Turn {
    dialing: Work<Dialed>,
    /// What the last attempt failed of, and when.
    failed: Option<(Instant, Failure)>,
}

type Dialed = Result<Live, (Instant, Failure)>;

/// A connection, and whether it has ended.
#[derive(Clone)]
pub(crate) struct Live {
    pub(crate) connection: MultiplexedConnection,
    wire: Wire,
    gone: Arc<AtomicBool>,
    silence: Arc<Silence>,
}

/// What carries a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    Tcp,
    #[cfg_attr(not(feature = "tls-rustls"), expect(dead_code, reason = "there is no TLS"))]
    Tls,
    /// A socket of the system, or what an application's own client has made.
    Other,
}

/// How long callers have waited in vain since the last answer on this connection.
struct Silence {
    answers: AtomicU64,
    waited: Mutex<Waited>,
    /// A connection that was silent for this long is left.
    patience: Duration,
}

#[derive(Default)]
struct Waited {
    /// How many answers had come by then.
    answers: u64,
    until: Option<Instant>,
    total: Duration,
}

impl Live {
    pub(crate) fn new(
        connection: MultiplexedConnection,
        wire: Wire,
        gone: Arc<AtomicBool>,
        patience: Duration,
    ) -> Self {
        Self { connection, wire, gone, silence: Arc::new(Silence::new(patience)) }
    }

    /// Waits for an answer that comes over this connection.
    ///
    /// A caller that gives up drops this, and nobody may be left to notice that the other end
    /// is gone without a word. So waits without an answer add up, of one caller or of several;
    /// waits at the same time count once.
    pub(crate) async fn hear<T>(
        &self,
        answer: impl Future<Output = RedisResult<T>>,
    ) -> RedisResult<T> {
        let wait = Wait {
            live: self,
            since: Instant::now(),
            answers: self.silence.answers.load(Ordering::Relaxed),
        };
        let answer = answer.await;
        // Who hears of the connection's end was told nothing by the server.
        if !matches!(&answer, Err(err) if err.code().is_none()) {
            self.silence.answers.fetch_add(1, Ordering::Relaxed);
        }
        drop(wait);
        answer
    }

    /// Sends a command that only asks, as part of finding a server.
    #[cfg(any(feature = "cluster", feature = "sentinel"))]
    pub(crate) async fn ask(&self, cmd: &Cmd) -> Result<Value, RedisError> {
        let mut connection = self.connection.clone();
        match self.hear(connection.send_packed_command(cmd)).await? {
            Value::ServerError(err) => Err(RedisError::from(err)),
            value => Ok(value),
        }
    }

    /// Returns what carries the connection, if no command was ever answered on it.
    pub(crate) fn unheard(&self) -> Option<Wire> {
        (self.silence.answers.load(Ordering::Relaxed) == 0).then_some(self.wire)
    }

    /// Lets go of a connection that is no good. Calls that wait on it still get
    /// their answers, if there are any.
    pub(crate) fn leave(&self) {
        self.gone.store(true, Ordering::Release);
    }

    fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Returns the mark of an end. Who sets it ends the connection for calls to come.
    #[cfg(feature = "sentinel")]
    pub(crate) const fn gone(&self) -> &Arc<AtomicBool> {
        &self.gone
    }
}

/// Somebody waits for an answer.
struct Wait<'a> {
    live: &'a Live,
    since: Instant,
    answers: u64,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let silence = &self.live.silence;
        if silence.answers.load(Ordering::Relaxed) == self.answers
            && silence.lasts(self.since, Instant::now(), self.answers)
        {
            self.live.leave();
        }
    }
}

impl Silence {
    fn new(patience: Duration) -> Self {
        Self { answers: AtomicU64::new(0), waited: Mutex::default(), patience }
    }

    /// Adds a wait after so many answers. Returns whether it is enough.
    fn lasts(&self, since: Instant, now: Instant, answers: u64) -> bool {
        let mut waited = self.waited.lock().unwrap_or_else(PoisonError::into_inner);
        if waited.answers != answers {
            *waited = Waited { answers, ..Waited::default() };
        }
        let since = waited.until.map_or(since, |until| until.max(since));
        waited.total += now.saturating_duration_since(since);
        waited.until = Some(now);
        waited.total >= self.patience
    }
}

impl Link {
    pub(crate) fn new() -> Self {
        let turn = Turn { dialing: Work::new(), failed: None };
        Self { live: RwLock::new(None), turn: tokio::sync::Mutex::new(turn) }
    }

    /// Returns the connection, or makes one.
    ///
    /// A connection that is known to have ended is never returned, so that a
    /// call learns of a restarted server before it sends anything.
    pub(crate) async fn connected(&self, dialer: &Dialer) -> Result<Live, Failure> {
        if let Some(live) = self.current() {
            return Ok(live);
        }
        let mut turn = self.turn.lock().await;
        if let Some(live) = self.current() {
            return Ok(live);
        }
        let Turn { dialing, failed } = &mut *turn;
        match dialing.ended() {
            Some(Ok(live)) if !live.is_gone() => {
                *failed = None;
                self.put(Some(live.clone()));
                return Ok(live);
            }
            Some(Err(failure)) => *failed = Some(failure),
            _ => {}
        }
        if let Some((at, failure)) = failed
            && at.elapsed() < REST
        {
            return Err(failure.clone());
        }
        // The one that was left need not be kept open until there is another.
        self.close();
        let dialed = dialing.done(dialer.limit(), || {
            let dialer = dialer.clone();
            async move { dialer.dial().await.map_err(|failure| (Instant::now(), failure)) }
        });
        let failure = match dialed.await {
            Some(Ok(live)) if !live.is_gone() => {
                *failed = None;
                self.put(Some(live.clone()));
                return Ok(live);
            }
            Some(Ok(live)) => error::ended(live.unheard()),
            Some(Err((_, failure))) => failure,
            None => error::unreached(),
        };
        *failed = Some((Instant::now(), failure.clone()));
        Err(failure)
    }

    /// Lets go of the connection, whichever it is.
    pub(crate) fn close(&self) {
        self.put(None);
    }

    fn current(&self) -> Option<Live> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        live.as_ref().filter(|live| !live.is_gone()).cloned()
    }

    fn put(&self, live: Option<Live>) {
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = live;
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("connected", &self.current().is_some()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_waited_in_vain_counts_once_and_until_somebody_is_answered() {
        let begin = Instant::now();
        let at = |millis| begin + Duration::from_millis(millis);
        let silence = Silence::new(Duration::from_millis(100));
        assert!(!silence.lasts(at(0), at(40), 7));
        // Together with the first, and then alone for 20 more.
        assert!(!silence.lasts(at(10), at(60), 7));
        assert!(!silence.lasts(at(10), at(60), 7));
        // Later, for 39 and one more.
        assert!(!silence.lasts(at(1000), at(1039), 7));
        assert!(silence.lasts(at(2000), at(2001), 7));
        // After an answer all begins anew.
        assert!(!silence.lasts(at(3000), at(3099), 8));
        assert!(silence.lasts(at(3000), at(3100), 8));
    }
}
