//! What workers use: a store behind the session manager, or an application over HTTP.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use session_core::{Result, SessionId, SessionLocker};

use crate::history::Data;

/// How long a new session is to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// Unused; `None` for longer than the run.
    pub idle: Option<Duration>,
    /// At the most; `None` for longer than the run.
    pub absolute: Option<Duration>,
}

impl Life {
    /// A life that outlasts the run.
    pub const LONG: Self = Self { idle: None, absolute: None };
    /// How long a session lives unused that was not told.
    pub const IDLE: Duration = Duration::from_secs(6 * 3600);
    /// The same for [`Manner::Brief`].
    pub const BRIEF: Duration = Duration::from_secs(60);
}

/// How a session is loaded, which decides what is done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// To merge changes with those of others.
    Merge,
    /// To save, unless somebody else has written.
    Strict,
    /// By an application with shorter lifetimes, to be touched only.
    Brief,
}

/// A store of sessions, as workers use it.
#[async_trait]
pub trait Subject: fmt::Debug + Send + Sync + 'static {
    /// Whether the store itself is at hand: to choose lifetimes, to save strictly,
    /// and to be asked for deadlines.
    fn has_store(&self) -> bool {
        true
    }

    /// Begins a session that carries `tag`.
    async fn create(&self, tag: u64, life: Life) -> Result<SessionId>;

    /// Loads the session of an id. `None` if there is none by this id.
    async fn load(&self, id: &SessionId, manner: Manner) -> Result<Option<Box<dyn Held>>>;

    /// Ends the session of an id, also by an id that was replaced.
    async fn logout(&self, id: &SessionId) -> Result<()>;

    /// Asks how long the record of an id has to live. The outer `None` stands
    /// for no record, the inner one for no end.
    async fn look(&self, id: &SessionId) -> Result<Option<Option<Duration>>>;

    /// Presents any text as an id.
    async fn present(&self, text: &str) -> Result<Option<Data>>;

    /// Takes one step of garbage collection.
    async fn collect(&self) -> Result<()>;

    /// Returns the locks, if there are any.
    fn locker(&self) -> Option<&dyn SessionLocker>;
}

/// A session that was loaded. After an error it is of no more use, but for [`again`](Self::again).
#[async_trait]
pub trait Held: Send + Sync {
    /// Returns the id it has now; `None` if it is over.
    fn id(&self) -> Option<SessionId>;

    /// Returns what it held when it was loaded or written last.
    fn data(&self) -> Data;

    /// Stores a value, unless somebody has written.
    async fn save(&mut self, value: u64) -> Result<()>;

    /// Adds an item.
    async fn merge(&mut self, item: u64) -> Result<()>;

    /// Adds one to the counter.
    async fn increment(&mut self) -> Result<()>;

    /// Extends the lifetime. `false` if the session is over.
    async fn touch(&mut self) -> Result<bool>;

    /// Gives the session a new id.
    async fn regenerate(&mut self) -> Result<()>;

    /// Ends the session.
    async fn destroy(&mut self) -> Result<()>;

    /// Tries once more what has just failed, or returns `None` if that is not possible.
    async fn again(&mut self) -> Option<Result<()>>;
}
