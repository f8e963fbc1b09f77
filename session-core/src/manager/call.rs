//! Calls to the store, each with a deadline and an observer.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Core;
use crate::{
    BoxFuture, Error, ErrorKind, Event, Operation, Result, SessionKey, Stored, Version,
    WriteOptions,
};

impl Core {
    pub(crate) async fn read(&self, key: &SessionKey) -> Result<Option<Stored>> {
        let size = |stored: &Option<Stored>| stored.as_ref().map_or(0, |s| s.payload.len());
        self.call(Operation::Read, self.handler.read(key), size).await
    }

    pub(crate) async fn write(
        &self,
        key: &SessionKey,
        payload: Bytes,
        options: &WriteOptions,
    ) -> Result<Version> {
        let len = payload.len();
        self.call(options.mode.operation(), self.handler.write(key, payload, options), |_| len)
            .await
    }

    pub(crate) async fn touch(&self, key: &SessionKey, idle: Duration) -> Result<bool> {
        self.call(Operation::Touch, self.handler.touch(key, idle), |_| 0).await
    }

    pub(crate) async fn destroy(
        &self,
        key: &SessionKey,
        only_at: Option<&Version>,
    ) -> Result<bool> {
        self.call(Operation::Destroy, self.handler.destroy(key, only_at), |_| 0).await
    }

    /// Makes a call to the store: within the deadline, and seen by the observer.
    pub(crate) fn call<T>(
        &self,
        operation: Operation,
        call: impl Future<Output = Result<T>> + Unpin,
        size: impl FnOnce(&T) -> usize,
    ) -> impl Future<Output = Result<T>> {
        self.call_within(operation, self.policy.deadline, call, size)
    }

    /// Makes a call that has a time of its own.
    pub(super) async fn call_within<T>(
        &self,
        operation: Operation,
        limit: Duration,
        call: impl Future<Output = Result<T>> + Unpin,
        size: impl FnOnce(&T) -> usize,
    ) -> Result<T> {
        let started = self.observer.as_ref().map(|_| Instant::now());
        let result = self.within(operation, limit, call).await;
        if let Some(started) = started {
            self.observe(&Event::Call {
                backend: self.handler.info().name,
                operation,
                elapsed: started.elapsed(),
                bytes: result.as_ref().map_or(0, size),
                error: result.as_ref().err(),
            });
        }
        result
    }

    /// Waits for a future at most so long, if there is a runtime to tell the time.
    pub(crate) const fn within<F>(
        &self,
        operation: Operation,
        limit: Duration,
        future: F,
    ) -> Within<'_, F> {
        Within { core: self, operation, limit, future, sleep: None }
    }
}

/// A future with a time limit, whose timer is only made when the future is not
/// ready at once.
pub(crate) struct Within<'a, F> {
    core: &'a Core,
    operation: Operation,
    limit: Duration,
    future: F,
    sleep: Option<BoxFuture<()>>,
}

impl<T, F: Future<Output = Result<T>> + Unpin> Future for Within<'_, F> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let Self { core, operation, limit, ref mut future, ref mut sleep } = *self;
        if let Poll::Ready(output) = Pin::new(future).poll(cx) {
            return Poll::Ready(output);
        }
        let Some(runtime) = &core.runtime else { return Poll::Pending };
        let sleep = sleep.get_or_insert_with(|| runtime.sleep(limit));
        sleep.as_mut().poll(cx).map(|()| {
            let message = format!("no answer within {limit:?}");
            Err(Error::new(ErrorKind::Timeout, operation, message)
                .with_backend(core.handler.info().name))
        })
    }
}
