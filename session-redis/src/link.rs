//! A connection that all calls share, made anew when it is lost.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::dial::Dialer;
use crate::error::Failure;

/// After a failed attempt to connect, nobody tries for this long, so that a
/// crowd of callers does not become a crowd of connections.
const REST: Duration = Duration::from_millis(20);

/// A place for one connection to one server.
pub(crate) struct Link {
    live: RwLock<Option<Live>>,
    /// Held while connecting, so that one caller does it for all. Remembers
    /// what the last attempt failed of.
    turn: Mutex<Option<(Instant, Failure)>>,
}

/// A connection, and whether it has ended.
#[derive(Clone)]
pub(crate) struct Live {
    pub(crate) connection: MultiplexedConnection,
    gone: Arc<AtomicBool>,
}

impl Live {
    pub(crate) fn new(connection: MultiplexedConnection, gone: Arc<AtomicBool>) -> Self {
        Self { connection, gone }
    }

    /// Returns the mark of an end. Who sets it ends the connection for calls to come.
    #[cfg(feature = "sentinel")]
    pub(crate) const fn gone(&self) -> &Arc<AtomicBool> {
        &self.gone
    }
}

impl Link {
    pub(crate) const fn new() -> Self {
        Self { live: RwLock::new(None), turn: Mutex::const_new(None) }
    }

    /// Returns the connection, or makes one.
    ///
    /// A connection that is known to have ended is never returned, so that a
    /// call learns of a restarted server before it sends anything.
    pub(crate) async fn connected(&self, dialer: &Dialer) -> Result<Live, Failure> {
        if let Some(live) = self.current() {
            return Ok(live);
        }
        let mut last = self.turn.lock().await;
        if let Some(live) = self.current() {
            return Ok(live);
        }
        if let Some((at, failure)) = &*last
            && at.elapsed() < REST
        {
            return Err(failure.clone());
        }
        // In a box, as this is rare: each call's future would be as large as connecting needs.
        match Box::pin(dialer.dial()).await {
            Ok(live) => {
                *last = None;
                self.put(Some(live.clone()));
                Ok(live)
            }
            Err(failure) => {
                *last = Some((Instant::now(), failure.clone()));
                Err(failure)
            }
        }
    }

    /// Lets go of a connection that is no good. Calls that wait on it still get
    /// their answers, if there are any.
    pub(crate) fn forget(&self, bad: &Live) {
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        if live.as_ref().is_some_and(|live| Arc::ptr_eq(&live.gone, &bad.gone)) {
            *live = None;
        }
    }

    /// Lets go of the connection, whichever it is.
    pub(crate) fn close(&self) {
        self.put(None);
    }

    fn current(&self) -> Option<Live> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        live.as_ref().filter(|live| !live.gone.load(Ordering::Acquire)).cloned()
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
