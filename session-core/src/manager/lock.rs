//! Exclusive sessions: waiting for the lock, and giving it back.

use std::time::{Duration, Instant};

use super::Core;
use super::contention::Turn;
use crate::{Error, ErrorKind, Exclusive, FencingToken, Operation, Result, SessionKey};

/// How long to wait between two tries for a lock that another process holds:
/// from this, doubling, to twenty times as much.
const FIRST_PAUSE: Duration = Duration::from_millis(2);

/// A lock that this request holds.
#[derive(Debug)]
pub(crate) struct HeldLock {
    pub(crate) key: SessionKey,
    pub(crate) token: FencingToken,
    /// Keeps this process's other requests in line, so that they need not ask the store.
    turn: Option<Turn>,
}

impl Core {
    /// Waits for the lock of a session.
    pub(crate) async fn lock(&self, key: &SessionKey, policy: &Exclusive) -> Result<HeldLock> {
        let started = Instant::now();
        let turn = async { Ok(self.contention.turn(key).await) };
        // Who has stood in line for a whole lease asks the store: the holder may
        // have stalled.
        let patience = policy.wait.min(policy.lease);
        let turn = self.within(Operation::Lock, patience, turn).await.ok();
        let mut pause = FIRST_PAUSE;
        loop {
            let Some(locker) = self.handler.locker() else {
                let message = "the engine cannot lock";
                return Err(Error::new(ErrorKind::Unsupported, Operation::Lock, message));
            };
            let attempt = locker.try_lock(key, policy.lease);
            if let Some(token) = self.call(Operation::Lock, attempt, |_| 0).await? {
                return Ok(HeldLock { key: *key, token, turn });
            }
            let left = policy.wait.saturating_sub(started.elapsed());
            let Some(runtime) = self.runtime.as_ref().filter(|_| !left.is_zero()) else {
                let message = "another request holds the session; try again";
                return Err(Error::new(ErrorKind::Locked, Operation::Lock, message)
                    .with_backend(self.handler.info().name));
            };
            runtime.sleep(pause.min(left)).await;
            pause = (pause * 2).min(FIRST_PAUSE * 20);
        }
    }

    /// Gives a lock back. If that fails the lease ends it.
    pub(crate) async fn unlock(&self, lock: HeldLock) {
        let HeldLock { key, token, turn } = lock;
        if let Some(locker) = self.handler.locker() {
            let freed = locker.unlock(&key, token);
            if let Err(err) = self.call(Operation::Lock, freed, |_| 0).await {
                self.unseen(&err);
            }
        }
        drop(turn);
    }
}
