//! Timers and background tasks, as a value.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// A future on the heap that may move between threads.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What session-core asks of an async runtime: a timer and a place for
/// background work.
///
/// Without one there are no deadlines, no waiting for locks and no work that
/// outlives a request. The feature `rt` brings [`TokioRuntime`].
pub trait Runtime: fmt::Debug + Send + Sync + 'static {
    /// Returns a future that is ready after `duration`.
    fn sleep(&self, duration: Duration) -> BoxFuture<()>;

    /// Runs a task to its end, whatever happens to the caller. Returns `false`
    /// if there is no place to run it; then the task is dropped.
    fn spawn(&self, task: BoxFuture<()>) -> bool;
}

/// Timers and tasks of the tokio runtime that the caller runs in.
///
/// Outside of a tokio runtime `spawn` runs nothing and says so, and `sleep`
/// panics, as tokio's own timer does.
#[cfg(feature = "rt")]
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioRuntime;

#[cfg(feature = "rt")]
impl Runtime for TokioRuntime {
    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        Box::pin(tokio::time::sleep(duration))
    }

    fn spawn(&self, task: BoxFuture<()>) -> bool {
        let runtime = tokio::runtime::Handle::try_current();
        runtime.map(|runtime| runtime.spawn(task)).is_ok()
    }
}
