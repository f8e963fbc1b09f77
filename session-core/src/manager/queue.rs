//! Queues of those who want the same session, inside one process.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use tokio::sync::OwnedMutexGuard;

use crate::SessionKey;
use crate::sync::Mutex;

/// Queues of those who want the same session: its lock, or to save it after a
/// conflict.
///
/// Without them a hundred parallel saves of one session would each be tried up
/// to a hundred times; in line, each is tried once more, or as often as there
/// are other processes.
#[derive(Debug, Default)]
pub(crate) struct Queues(Mutex<HashMap<SessionKey, Arc<tokio::sync::Mutex<()>>>>);

/// A turn. The next in line comes when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _guard: OwnedMutexGuard<()>,
}

impl Queues {
    /// Waits for a turn; first come, first served.
    pub(crate) async fn turn(&self, key: &SessionKey) -> Turn {
        let queue = {
            let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // A queue that nobody holds or waits in is referenced from here only.
            if queues.len() >= 64 {
                queues.retain(|_, queue| Arc::strong_count(queue) > 1);
            }
            Arc::clone(queues.entry(*key).or_default())
        };
        Turn { _guard: queue.lock_owned().await }
    }
}
