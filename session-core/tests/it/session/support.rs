//! A store whose clock and faults a test controls, and managers on it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use session_core::testkit::Chaos;
use session_core::{
    CookieAction, ErrorKind, Event, ManualClock, MemoryHandler, Observer, Policy, Random, Result,
    Save, Session, SessionId, SessionKey, SessionManager,
};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// One store, and one process that uses it.
#[derive(Clone, Debug)]
pub(crate) struct Rig {
    pub(crate) clock: ManualClock,
    pub(crate) chaos: Chaos,
    pub(crate) sessions: SessionManager,
    pub(crate) events: Events,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(|_| ())
    }

    pub(crate) fn with(change: impl FnOnce(&mut Policy)) -> Self {
        let clock = ManualClock::new();
        let chaos = Chaos::new(MemoryHandler::new().with_clock(Arc::new(clock.clone())));
        Self::on(clock, chaos, change)
    }

    fn on(clock: ManualClock, chaos: Chaos, change: impl FnOnce(&mut Policy)) -> Self {
        let mut policy = Policy::default();
        change(&mut policy);
        let events = Events::default();
        let sessions = SessionManager::builder(chaos.clone())
            .policy(policy)
            .clock(clock.clone())
            .observer(events.clone())
            .build()
            .unwrap();
        Self { clock, chaos, sessions, events }
    }

    /// Another process on the same store, under the same policy.
    pub(crate) fn neighbour(&self) -> Self {
        let policy = self.sessions.policy().clone();
        Self::on(self.clock.clone(), self.chaos.clone(), |own| *own = policy)
    }

    /// Draws ids from somewhere else.
    pub(crate) fn with_random(mut self, random: impl Random) -> Self {
        self.sessions = SessionManager::builder(self.chaos.clone())
            .policy(self.sessions.policy().clone())
            .clock(self.clock.clone())
            .random(random)
            .build()
            .unwrap();
        self
    }

    /// Stores a session and returns its id. Calls until then are not counted.
    pub(crate) async fn stored(&self, fill: impl FnOnce(&Session) -> Result<()>) -> SessionId {
        let session = self.sessions.create();
        fill(&session).unwrap();
        session.save().await.unwrap();
        self.chaos.take_counts();
        session.id().unwrap()
    }

    pub(crate) async fn load(&self, id: &SessionId) -> Session {
        self.sessions.load(id).await.unwrap()
    }

    /// Reads one value the way the next request would see it.
    pub(crate) async fn peek(&self, id: &SessionId, key: &str) -> Option<i64> {
        self.load(id).await.get(key).unwrap()
    }

    pub(crate) async fn count(&self) -> u64 {
        self.sessions.count().await.unwrap()
    }
}

/// Ends a request: what the layer does when the response headers are known.
pub(crate) async fn respond(session: &Session) -> (Result<()>, CookieAction) {
    respond_with(session, Save::All).await
}

pub(crate) async fn respond_with(session: &Session, save: Save) -> (Result<()>, CookieAction) {
    let result = match session.seal(save) {
        Some(work) => work.await,
        None => Ok(()),
    };
    (result, session.cookie())
}

pub(crate) fn kind<T>(result: Result<T>) -> ErrorKind {
    match result {
        Ok(_) => panic!("an error was expected"),
        Err(err) => err.kind(),
    }
}

pub(crate) fn is_set(action: &CookieAction) -> bool {
    matches!(action, CookieAction::Set { .. })
}

pub(crate) fn key(id: &SessionId) -> SessionKey {
    SessionKey::of(id)
}

/// Lets every task run until it waits for something that a test controls.
pub(crate) async fn settle() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}

/// The names of what happened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Events(Arc<Mutex<Vec<String>>>);

impl Events {
    /// How often an event of this name was seen.
    pub(crate) fn count(&self, name: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|seen| *seen == name).count()
    }
}

impl Observer for Events {
    fn observe(&self, event: &Event<'_>) {
        let text = format!("{event:?}");
        let name = text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        self.0.lock().unwrap().push(name.to_owned());
    }
}
