//! Calls to the store, each with a deadline and an observer.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Core;
use crate::{
    BoxFuture, Error, ErrorKind, Event, Operation, Result, Runtime, SessionKey, Stored, Version,
    WriteMode, WriteOptions,
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
        let operation = match options.mode {
            WriteMode::Create => Operation::Create,
            WriteMode::Replace | WriteMode::IfVersion(_) => Operation::Write,
        };
        let len = payload.len();
        self.call(operation, self.handler.write(key, payload, options), |_| len).await
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
    pub(crate) async fn call<T>(
        &self,
        operation: Operation,
        call: impl Future<Output = Result<T>>,
        size: impl FnOnce(&T) -> usize,
    ) -> Result<T> {
        let started = self.observer.as_ref().map(|_| Instant::now());
        let result = self.within(operation, self.policy.deadline, call).await;
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
    pub(crate) async fn within<T>(
        &self,
        operation: Operation,
        limit: Duration,
        future: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let Some(runtime) = &self.runtime else { return future.await };
        let future = std::pin::pin!(future);
        Within { future, limit, runtime: &**runtime, sleep: None }.await.unwrap_or_else(|| {
            let message = format!("no answer within {limit:?}");
            Err(Error::new(ErrorKind::Timeout, operation, message)
                .with_backend(self.handler.info().name))
        })
    }
}

/// A future with a time limit, whose timer is only made when the future is not
/// ready at once. `None` if the time is over.
struct Within<'a, F> {
    future: Pin<&'a mut F>,
    limit: Duration,
    runtime: &'a dyn Runtime,
    sleep: Option<BoxFuture<()>>,
}

impl<F: Future> Future for Within<'_, F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(output) = self.future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        let Self { limit, runtime, .. } = *self;
        let sleep = self.sleep.get_or_insert_with(|| runtime.sleep(limit));
        sleep.as_mut().poll(cx).map(|()| None)
    }
}
