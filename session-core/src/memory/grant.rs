//! Who may write a session: the latest grant of its lock.

use crate::{FencingToken, Timestamp};

/// The latest grant of a key's lock.
///
/// It stays when the lease is over, so that a slow holder goes on as long as
/// nobody else wants the lock. Garbage collection takes it away.
#[derive(Debug)]
pub(super) struct Grant {
    pub(super) token: FencingToken,
    pub(super) until: Timestamp,
}

impl Grant {
    pub(super) fn is_held(&self, now: Timestamp) -> bool {
        self.until > now
    }
}
