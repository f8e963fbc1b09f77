//! Puts a manager together.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::{Core, Queues, SessionManager, StaleCache, Watchers};
use crate::{
    Clock, Error, ErrorKind, Observer, Operation, OsRandom, Outage, Policy, Random, Result,
    Runtime, Serializers, SessionHandler, SystemClock,
};

/// Puts a [`SessionManager`] together.
#[must_use]
pub struct ManagerBuilder(Core);

impl ManagerBuilder {
    pub(super) fn new(handler: impl SessionHandler) -> Self {
        #[cfg(feature = "rt")]
        let runtime: Option<Arc<dyn Runtime>> = Some(Arc::new(crate::TokioRuntime));
        #[cfg(not(feature = "rt"))]
        let runtime = None;
        Self(Core {
            handler: share(handler),
            policy: Policy::default(),
            serializers: Serializers::default(),
            clock: Arc::new(SystemClock),
            random: Arc::new(OsRandom),
            runtime,
            observer: None,
            queues: Queues::default(),
            stale: None,
            watchers: Watchers::default(),
        })
    }

    /// Sets the policy.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.0.policy = policy;
        self
    }

    /// Sets what writes values and what reads them.
    pub fn serializers(mut self, serializers: Serializers) -> Self {
        self.0.serializers = serializers;
        self
    }

    /// Sets the clock of absolute lifetimes. The store has its own for the rest.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.0.clock = Arc::new(clock);
        self
    }

    /// Sets where ids come from. For tests: everyone else wants [`OsRandom`].
    pub fn random(mut self, random: impl Random) -> Self {
        self.0.random = Arc::new(random);
        self
    }

    /// Sets timers and background tasks. With the feature `rt` the default is
    /// `TokioRuntime`, without it there are none.
    pub fn runtime(mut self, runtime: impl Runtime) -> Self {
        self.0.runtime = Some(Arc::new(runtime));
        self
    }

    /// Sets who is told what happens. A later call replaces an earlier one; give a
    /// pair to tell two.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.0.observer = Some(Arc::new(observer));
        self
    }

    /// Checks the settings and returns the manager.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfig`] if the policy contradicts itself or asks for
    /// what the handler or the runtime cannot do.
    pub fn build(self) -> Result<SessionManager> {
        let Core { policy, handler, runtime, .. } = &self.0;
        policy.check()?;
        let refused = |message| Err(invalid(message));
        if policy.exclusive.is_some() && handler.locker().is_none() {
            return refused(
                "exclusive sessions need an engine that can lock; use another engine, or leave \
                 `exclusive` out",
            );
        }
        if policy.exclusive.is_some() && runtime.is_none() {
            return refused(
                "exclusive sessions need a runtime, to wait for locks; enable the feature `rt` of \
                 session-core, or give the builder a runtime",
            );
        }
        if policy.per_owner.is_some() && handler.index().is_none() {
            return refused(
                "a limit of sessions per owner needs an engine with an index; use another engine, \
                 or leave `per_owner` out",
            );
        }
        if policy.lottery.is_some() && runtime.is_none() {
            return refused(
                "the lottery needs a runtime, to collect in the background; enable the feature \
                 `rt` of session-core, or give the builder a runtime",
            );
        }
        if let Some(max) = handler.info().max_payload
            && policy.max_bytes > max
        {
            return Err(invalid(format!(
                "`max_bytes` of the policy is {}, and the engine's `max_record_bytes` only {max}; \
                 lower the one, or raise the other",
                policy.max_bytes
            )));
        }
        Ok(self.finish())
    }

    /// Returns the manager without checks, for settings that are known to be sound.
    pub(super) fn finish(mut self) -> SessionManager {
        if matches!(self.0.policy.outage, Outage::Stale(_)) {
            self.0.stale = Some(StaleCache::default());
        }
        SessionManager(Arc::new(self.0))
    }
}

impl fmt::Debug for ManagerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManagerBuilder").field("policy", &self.0.policy).finish_non_exhaustive()
    }
}

fn invalid(message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidConfig, Operation::Configure, message)
}

/// Shares a handler. One that is shared already is taken as it is: every wrapper
/// boxes a future of its own for each call.
fn share(handler: impl SessionHandler) -> Arc<dyn SessionHandler> {
    match (&handler as &dyn Any).downcast_ref::<Arc<dyn SessionHandler>>() {
        Some(shared) => Arc::clone(shared),
        None => Arc::new(handler),
    }
}
