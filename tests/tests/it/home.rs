//! The part of a store that belongs to one test.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use session_tests::servers::{Own, Shared, Timed};
use tempfile::TempDir;

use crate::target::{Store, Target};

/// The servers whose time of day tests move, by their kind. Each belongs to one
/// test at a time, and is started for the first.
static TIMED: [Mutex<Option<Timed>>; Shared::ALL.len()] =
    [const { Mutex::new(None) }; Shared::ALL.len()];

/// The part of a store that belongs to one test. Nothing is left of it afterwards.
pub(crate) struct Home {
    directory: TempDir,
    store: Store,
    own: Option<Own>,
    /// Kept until nobody uses it.
    timed: Option<MutexGuard<'static, Option<Timed>>>,
}

impl Target {
    /// Makes a home on a server that tells the time.
    pub(crate) fn home(self) -> Home {
        let own = match self.store {
            Store::Server(server) => Some(Own::shared(server)),
            Store::Memory | Store::File => None,
        };
        Home { directory: tempfile::tempdir().unwrap(), store: self.store, own, timed: None }
    }

    /// Makes a home on a server whose time the test moves.
    pub(crate) fn home_with_clock(self) -> Home {
        let Store::Server(server) = self.store else { return self.home() };
        if matches!(server, Shared::MongoDb | Shared::MongoDbReplicaSet) {
            return self.home();
        }
        let slot = &TIMED[server as usize];
        let mut timed = slot.lock().unwrap_or_else(|poisoned| {
            // A test has failed with it, who knows where.
            slot.clear_poison();
            let mut guard = poisoned.into_inner();
            *guard = None;
            guard
        });
        if timed.is_none() {
            *timed = Some(wait(|| server.start_timed()).unwrap());
        }
        let own = timed.as_ref().map(|running| Own::of(server, running.url()));
        let directory = tempfile::tempdir().unwrap();
        Home { directory, store: self.store, own, timed: Some(timed) }
    }
}

impl Home {
    /// Returns the URI of the store.
    pub(crate) fn uri(&self) -> String {
        match (&self.own, self.store) {
            (Some(own), _) => {
                // Deadlines are not what these tests are about, and the machine may be busy.
                let url = own.url();
                let and = if url.contains('?') { '&' } else { '?' };
                format!("{url}{and}session.timeout=30")
            }
            (None, Store::File) => {
                // Power cuts are not what these tests are about.
                format!("file://{}?session.durability=process", self.directory().display())
            }
            (None, _) => "memory:".into(),
        }
    }

    /// Returns the directory that the file engine uses.
    pub(crate) fn directory(&self) -> PathBuf {
        Path::join(self.directory.path(), "sessions")
    }

    /// Lets time pass on the server. Memory and files have the clock of the process.
    pub(crate) async fn advance(&self, by: Duration) {
        let timed = self.timed.as_ref().and_then(|timed| timed.as_ref());
        match (timed, &self.own) {
            (Some(timed), _) => timed.advance(by).await.unwrap(),
            (None, Some(own)) => own.age(by).await.unwrap(),
            (None, None) => {}
        }
    }

    /// Returns whether time that passes ends the connections to the server.
    pub(crate) fn connections_end(&self) -> bool {
        matches!(self.store, Store::Server(Shared::MariaDb | Shared::MySql))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let Some(own) = self.own.take() else { return };
        let cleared = wait(|| async move { own.clear().await });
        if !std::thread::panicking() {
            cleared.unwrap();
        }
    }
}

/// Waits where nothing can be awaited.
fn wait<F: Future<Output: Send>>(make: impl FnOnce() -> F + Send) -> F::Output {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(make())
    };
    std::thread::scope(|scope| scope.spawn(run).join()).unwrap()
}
