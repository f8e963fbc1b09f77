//! Work that a caller who goes away cannot stop half-way.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::Core;
use crate::{BoxFuture, Error, ErrorKind, Operation, Result};

/// Work that runs to its end even if this future is dropped after its first poll.
///
/// What is ready at once costs no task: only work that has to wait moves into
/// one. Without a runtime it stops when it is dropped.
#[must_use]
pub struct Shielded<T> {
    core: Arc<Core>,
    stage: Stage<T>,
}

enum Stage<T> {
    Here(BoxFuture<T>),
    There(oneshot::Receiver<T>),
    Done,
}

impl Core {
    pub(crate) fn shield<T>(self: &Arc<Self>, work: BoxFuture<Result<T>>) -> Shielded<Result<T>> {
        Shielded { core: Arc::clone(self), stage: Stage::Here(work) }
    }
}

impl<T: Send + 'static> Future for Shielded<Result<T>> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let this = &mut *self;
        if let Stage::Here(work) = &mut this.stage {
            if let Poll::Ready(output) = work.as_mut().poll(cx) {
                this.stage = Stage::Done;
                return Poll::Ready(output);
            }
            let Some(runtime) = &this.core.runtime else { return Poll::Pending };
            let (done, there) = oneshot::channel();
            if let Stage::Here(work) = std::mem::replace(&mut this.stage, Stage::There(there)) {
                runtime.spawn(Box::pin(async move {
                    // Nobody listens if the caller went away.
                    drop(done.send(work.await));
                }));
            }
        }
        match &mut this.stage {
            Stage::There(there) => Pin::new(there).poll(cx).map(|received| {
                received.unwrap_or_else(|_| {
                    let message = "the runtime dropped a save";
                    Err(Error::new(ErrorKind::Internal, Operation::Write, message)
                        .with_indeterminate(true))
                })
            }),
            Stage::Here(_) | Stage::Done => Poll::Pending,
        }
    }
}

impl<T> fmt::Debug for Shielded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shielded").finish_non_exhaustive()
    }
}
