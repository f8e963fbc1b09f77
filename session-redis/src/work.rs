//! Work that is done once for all who need it.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

/// A piece of work that many may wait for.
///
/// It is a task of its own: who waits for it may go away at any moment, and it goes on for
/// the next. Else each of a row of callers might begin what the time of none of them suffices
/// to end.
pub(crate) struct Work<T> {
    /// What is under way: one piece, or none.
    task: JoinSet<T>,
    until: Instant,
}

impl<T: Send + 'static> Work<T> {
    pub(crate) fn new() -> Self {
        Self { task: JoinSet::new(), until: Instant::now() }
    }

    /// Returns what has come of a piece that ended when nobody waited for it.
    pub(crate) fn ended(&mut self) -> Option<T> {
        self.task.try_join_next()?.ok()
    }

    /// Waits for the piece that is under way, or for one that begins now and may take so
    /// long. Returns nothing if it takes longer, and if the runtime that ran it is no more.
    pub(crate) async fn done<F>(&mut self, limit: Duration, piece: impl FnOnce() -> F) -> Option<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        if self.task.is_empty() {
            self.task.spawn(piece());
            self.until = Instant::now() + limit;
        }
        let done = timeout_at(self.until, self.task.join_next()).await;
        let done = done.ok().flatten().and_then(Result::ok);
        if done.is_none() {
            self.task = JoinSet::new();
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    #[tokio::test]
    async fn work_goes_on_when_who_waits_for_it_goes_away() {
        let mut work = Work::new();
        let (end, ended) = oneshot::channel();
        let first = work.done(LONG, || async { ended.await.unwrap() });
        assert!(tokio::time::timeout(Duration::ZERO, first).await.is_err());
        assert_eq!(work.ended(), None);
        end.send(1).unwrap();
        let second = work.done(LONG, || async { 2 });
        assert_eq!(second.await, Some(1), "it was begun again");
        assert_eq!(work.done(LONG, || async { 2 }).await, Some(2));
    }

    #[tokio::test]
    async fn work_that_takes_too_long_ends_and_may_be_begun_again() {
        let mut work = Work::new();
        assert_eq!(work.done(Duration::ZERO, std::future::pending).await, None);
        assert_eq!(work.done(LONG, || async { 1 }).await, Some(1));
    }
}
