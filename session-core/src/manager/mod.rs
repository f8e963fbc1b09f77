//! Loads sessions and knows all they need.

mod admin;
mod boxed;
mod builder;
mod call;
mod commit;
mod end;
mod gc;
pub(crate) mod load;
pub(crate) mod lock;
mod owners;
mod queue;
mod rotate;
mod shield;
mod stale;
mod watch;
mod write;

use std::fmt;
use std::sync::Arc;

pub use self::builder::ManagerBuilder;
pub use self::load::Access;
use self::load::Terms;
use self::queue::Queues;
pub use self::shield::Shielded;
use self::stale::StaleCache;
use self::watch::Watchers;
use crate::session::state::Opened;
use crate::{
    BoxFuture, Clock, Error, ErrorKind, Event, Observer, Operation, Outage, Policy, Random, Result,
    Runtime, Serializers, Session, SessionHandler, SessionId, Status, Timestamp,
};

/// Loads sessions from one store under one policy. Cheap to clone.
///
/// Integrations with web frameworks stand on this; it also serves jobs and
/// sockets that have a session's id and no request. See [`Session`] for an example.
#[derive(Clone)]
pub struct SessionManager(pub(crate) Arc<Core>);

/// What all sessions of a manager share.
pub(crate) struct Core {
    pub(crate) handler: Arc<dyn SessionHandler>,
    pub(crate) policy: Policy,
    pub(crate) serializers: Serializers,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) runtime: Option<Arc<dyn Runtime>>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) queues: Queues,
    pub(crate) stale: Option<StaleCache>,
    pub(crate) watchers: Watchers,
}

impl SessionManager {
    /// Keeps sessions in `handler` under the default policy. Does not
    /// [open](SessionHandler::open) it: do that first, to learn at start-up
    /// whether the store is usable.
    #[must_use]
    pub fn new(handler: impl SessionHandler) -> Self {
        ManagerBuilder::new(handler).finish()
    }

    /// Chooses policy, serializer, clock and the rest.
    ///
    /// ```
    /// use std::time::Duration;
    /// use session_core::{MemoryHandler, Policy, SessionManager};
    ///
    /// let mut policy = Policy::default();
    /// policy.idle = Duration::from_secs(900);
    /// let sessions = SessionManager::builder(MemoryHandler::new()).policy(policy).build()?;
    /// # Ok::<(), session_core::Error>(())
    /// ```
    pub fn builder(handler: impl SessionHandler) -> ManagerBuilder {
        ManagerBuilder::new(handler)
    }

    /// Returns a new session, for a visitor without an id. Costs no store call;
    /// nothing is stored until it is saved with something in it.
    #[must_use]
    pub fn create(&self) -> Session {
        Session::new(Arc::clone(&self.0), Opened::nothing(Status::New), false)
    }

    /// Returns the policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.0.policy
    }

    /// Returns the handler, for the abilities that go beyond sessions.
    #[must_use]
    pub fn handler(&self) -> &Arc<dyn SessionHandler> {
        &self.0.handler
    }

    /// Returns the runtime, if there is one.
    #[must_use]
    pub fn runtime(&self) -> Option<&Arc<dyn Runtime>> {
        self.0.runtime.as_ref()
    }

    /// Loads the session of an id. An unknown id gives a new session with
    /// [`Status::Unknown`]; the id is never adopted.
    ///
    /// # Errors
    ///
    /// What the store says; a store that is down is never an empty session,
    /// unless the policy says so.
    pub async fn load(&self, id: &SessionId) -> Result<Session> {
        self.load_any(std::slice::from_ref(id), Access::ReadWrite).await
    }

    /// Loads the session of the one id among `ids` that lives. If several live,
    /// none is believed. At most the first four are looked at.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load); [`Locked`](crate::ErrorKind::Locked) if an
    /// exclusive session could not be had in time.
    pub async fn load_any(&self, ids: &[SessionId], access: Access) -> Result<Session> {
        self.load_any_or(ids, access, self.0.policy.outage).await
    }

    /// Loads a session as [`load_any`](Self::load_any) does, with another answer
    /// to a store that is down than the policy's [`outage`](Policy::outage).
    ///
    /// # Errors
    ///
    /// As [`load_any`](Self::load_any);
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) for [`Outage::Stale`] if the
    /// policy's outage is another one: only then is anything kept for an outage.
    pub async fn load_any_or(
        &self,
        ids: &[SessionId],
        access: Access,
        outage: Outage,
    ) -> Result<Session> {
        Core::load(&self.0, ids, Terms { access, outage }).await
    }
}

impl fmt::Debug for SessionManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionManager")
            .field("handler", &self.0.handler)
            .field("policy", &self.0.policy)
            .finish_non_exhaustive()
    }
}

impl Core {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn observe(&self, event: &Event<'_>) {
        if let Some(observer) = &self.observer {
            observer.observe(event);
        }
    }

    /// Reports an error that no caller gets to see.
    pub(crate) fn unseen(&self, err: &Error) {
        self.observe(&Event::Unseen(err));
    }

    /// Runs a task to its end. Without a runtime it is lost, and so reported.
    pub(crate) fn spawn(&self, task: BoxFuture<()>) {
        if !self.runtime.as_ref().is_some_and(|runtime| runtime.spawn(task)) {
            self.unseen(&Error::new(
                ErrorKind::Unsupported,
                Operation::Configure,
                "work that should outlive a request was dropped; give the manager a runtime",
            ));
        }
    }
}
