//! Named barriers at which requests wait for each other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// Named barriers. An opened one stays open.
#[derive(Clone, Debug, Default)]
pub(crate) struct Barriers(Arc<Mutex<HashMap<String, watch::Sender<bool>>>>);

impl Barriers {
    /// Waits until the barrier is open.
    pub(crate) async fn pass(&self, name: &str) {
        let mut open = self.lock().entry(name.to_owned()).or_default().subscribe();
        // The senders live as long as the application.
        drop(open.wait_for(|open| *open).await);
    }

    /// Opens the barrier for good.
    pub(crate) fn open(&self, name: &str) {
        self.lock().entry(name.to_owned()).or_default().send_replace(true);
    }

    /// Returns how many requests wait.
    pub(crate) fn waiting(&self, name: &str) -> usize {
        self.lock().get(name).map_or(0, watch::Sender::receiver_count)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, watch::Sender<bool>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
