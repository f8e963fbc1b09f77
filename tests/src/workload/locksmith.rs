//! Takes locks and gives them back, sometimes after they have fallen free.

use std::sync::Arc;
use std::time::Duration;

use session_core::{BoxFuture, SessionKey};

use super::hand::end;
use super::subject::Subject;
use crate::history::{Answer, Call, End, Recorder};

/// How many locks all fight for.
const LOCKS: u8 = 2;

/// One of those who fight for locks.
pub(super) struct Locksmith {
    pub(super) number: u32,
    pub(super) subject: Arc<dyn Subject>,
    pub(super) recorder: Recorder,
    pub(super) random: fastrand::Rng,
    /// How time passes.
    pub(super) sleep: Sleep,
}

/// Waits for a while.
pub type Sleep = Arc<dyn Fn(Duration) -> BoxFuture<()> + Send + Sync>;

impl Locksmith {
    /// Tries to take a lock, holds it for a while, and gives it back.
    pub(super) async fn work(&mut self) {
        let pause = Duration::from_millis(self.random.u64(1..8));
        (self.sleep)(pause).await;
        let Some(locker) = self.subject.locker() else { return };
        let lock = self.random.u8(..LOCKS);
        let key = SessionKey::from_bytes([lock; 32]);
        let lock = u64::from(lock);
        let lease = self.random.u64(150..250);
        let pending = self.recorder.invoke(self.number, 0, Call::Lock { lock, lease });
        let granted = locker.try_lock(&key, Duration::from_millis(lease)).await;
        let (ended, token) = match granted {
            Ok(Some(token)) => (End::Ok(Answer::Granted(token.0)), Some(token)),
            Ok(None) => (End::Ok(Answer::Held), None),
            Err(err) => (end(&err), None),
        };
        self.recorder.end(pending, ended);
        let Some(token) = token else { return };
        // Who comes back too late must not free the lock of the next.
        let hold = if self.random.u8(..4) == 0 { lease + 10 } else { self.random.u64(..10) };
        (self.sleep)(Duration::from_millis(hold)).await;
        let pending = self.recorder.invoke(self.number, 0, Call::Unlock { lock, token: token.0 });
        let ended = match locker.unlock(&key, token).await {
            Ok(true) => End::Ok(Answer::Done),
            Ok(false) => End::Ok(Answer::Held),
            Err(err) => end(&err),
        };
        self.recorder.end(pending, ended);
    }
}
