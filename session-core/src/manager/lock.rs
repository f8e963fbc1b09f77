//! Exclusive sessions: waiting for the lock, and giving it back.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Core;
use super::boxed::boxed;
use super::queue::Turn;
use crate::{Error, ErrorKind, Exclusive, FencingToken, Operation, Result, SessionKey};

/// How long to wait between two tries for a lock that another process holds:
/// from this, doubling, to twenty times as much.
const FIRST_PAUSE: Duration = Duration::from_millis(2);

/// A lock that this request holds. Freed when dropped, at the latest.
pub(crate) struct HeldLock {
    core: Arc<Core>,
    key: SessionKey,
    token: FencingToken,
    /// Keeps this process's other requests in line, so that they need not ask
    /// the store.
    turn: Option<Turn>,
    freed: bool,
}

impl HeldLock {
    pub(crate) const fn key(&self) -> SessionKey {
        self.key
    }

    pub(crate) const fn token(&self) -> FencingToken {
        self.token
    }

    /// Gives the lock back. If that fails the lease ends it.
    pub(crate) async fn free(mut self) {
        self.core.unlock(&self.key, self.token).await;
        self.freed = true;
    }
}

impl Drop for HeldLock {
    fn drop(&mut self) {
        if self.freed {
            return;
        }
        let (core, key, token) = (Arc::clone(&self.core), self.key, self.token);
        let turn = self.turn.take();
        self.core.spawn(Box::pin(async move {
            core.unlock(&key, token).await;
            drop(turn);
        }));
    }
}

impl fmt::Debug for HeldLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeldLock").finish_non_exhaustive()
    }
}

impl Core {
    /// Waits for the lock of a session.
    pub(crate) async fn lock(
        self: &Arc<Self>,
        key: &SessionKey,
        policy: &Exclusive,
    ) -> Result<HeldLock> {
        let started = Instant::now();
        let turn = boxed(async { Ok(self.queues.turn(key).await) });
        // Who has stood in line for a whole lease asks the store: the holder may
        // have stalled.
        let patience = policy.wait.min(policy.lease);
        let turn = self.within(Operation::Lock, patience, turn).await.ok();
        let mut left = policy.wait - if turn.is_some() { Duration::ZERO } else { patience };
        let mut pause = FIRST_PAUSE;
        loop {
            let Some(locker) = self.handler.locker() else {
                let message = "the engine cannot lock";
                return Err(Error::new(ErrorKind::Unsupported, Operation::Lock, message));
            };
            let attempt = locker.try_lock(key, policy.lease);
            if let Some(token) = self.call(Operation::Lock, attempt, |_| 0).await? {
                let core = Arc::clone(self);
                return Ok(HeldLock { core, key: *key, token, turn, freed: false });
            }
            left = left.min(policy.wait.saturating_sub(started.elapsed()));
            let Some(runtime) = self.runtime.as_ref().filter(|_| !left.is_zero()) else {
                let message = "another request holds the session; try again";
                return Err(Error::new(ErrorKind::Locked, Operation::Lock, message)
                    .with_backend(self.handler.info().name));
            };
            pause = pause.min(left);
            runtime.sleep(pause).await;
            left -= pause;
            pause = (pause * 2).min(FIRST_PAUSE * 20);
        }
    }

    async fn unlock(&self, key: &SessionKey, token: FencingToken) {
        let Some(locker) = self.handler.locker() else { return };
        if let Err(err) = self.call(Operation::Lock, locker.unlock(key, token), |_| 0).await {
            self.unseen(&err);
        }
    }
}
