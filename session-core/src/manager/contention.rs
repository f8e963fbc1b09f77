//! Lines of those who want the same session, inside one process.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use tokio::sync::OwnedMutexGuard;

use crate::SessionKey;
use crate::sync::Mutex;

/// Lines of those who want the same session.
///
/// Without them a hundred parallel saves of one session would each be tried up
/// to a hundred times; in line, each is tried once more, or as often as there
/// are other processes.
#[derive(Debug, Default)]
pub(crate) struct Contention(Mutex<HashMap<SessionKey, Arc<tokio::sync::Mutex<()>>>>);

/// A turn. The next in line comes when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _guard: OwnedMutexGuard<()>,
}

impl Contention {
    /// Waits for a turn; first come, first served.
    pub(crate) async fn turn(&self, key: &SessionKey) -> Turn {
        let line = {
            let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // A line that nobody holds or waits in is referenced from here only.
            if lines.len() >= 64 {
                lines.retain(|_, line| Arc::strong_count(line) > 1);
            }
            Arc::clone(lines.entry(*key).or_default())
        };
        Turn { _guard: line.lock_owned().await }
    }
}
