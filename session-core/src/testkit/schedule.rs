//! Ways to let calls race.

use std::future::{Future, poll_fn};
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Barrier;
use std::task::Poll;
use std::thread;

use tokio::runtime::{Handle, RuntimeFlavor};

/// One of several calls, or series of calls, that race.
pub(super) type Task<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A way to let tasks race.
#[derive(Clone, Copy, Debug)]
pub(super) enum Schedule {
    /// On one thread, switching whenever a task waits. A task begins once the
    /// one before it has waited this many times: so every gap between two steps
    /// of a handler is met by the start of another call, each time the same way.
    Staggered(usize),
    /// A thread each, let go at the same moment by a barrier.
    Parallel,
}

/// The ways that every race is run in.
pub(super) const SCHEDULES: [Schedule; 8] = [
    Schedule::Staggered(0),
    Schedule::Staggered(1),
    Schedule::Staggered(2),
    Schedule::Staggered(3),
    Schedule::Parallel,
    Schedule::Parallel,
    Schedule::Parallel,
    Schedule::Parallel,
];

impl Schedule {
    /// Runs all tasks to their end. Returns what they gave, in their order.
    pub(super) async fn run<T: Send>(self, tasks: Vec<Task<'_, T>>) -> Vec<T> {
        match (self, Handle::current().runtime_flavor()) {
            (Self::Staggered(waits), _) => staggered(waits, tasks).await,
            (Self::Parallel, RuntimeFlavor::MultiThread) => parallel(tasks),
            // A caller who runs a case on one thread has no threads to race.
            (Self::Parallel, _) => staggered(0, tasks).await,
        }
    }
}

async fn staggered<T>(waits: usize, mut tasks: Vec<Task<'_, T>>) -> Vec<T> {
    let mut results: Vec<Option<T>> = tasks.iter().map(|_| None).collect();
    let mut waited = vec![0; tasks.len()];
    poll_fn(|cx| {
        for i in 0..tasks.len() {
            let begins = i == 0 || results[i - 1].is_some() || waited[i - 1] > waits;
            if !begins {
                break;
            }
            if results[i].is_none() {
                match tasks[i].as_mut().poll(cx) {
                    Poll::Ready(result) => results[i] = Some(result),
                    Poll::Pending => waited[i] += 1,
                }
            }
        }
        if results.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    results.into_iter().flatten().collect()
}

fn parallel<T: Send>(tasks: Vec<Task<'_, T>>) -> Vec<T> {
    let runtime = Handle::current();
    let start = Barrier::new(tasks.len());
    let run = |task| {
        start.wait();
        runtime.block_on(task)
    };
    tokio::task::block_in_place(|| {
        thread::scope(|scope| {
            let run = &run;
            let threads: Vec<_> =
                tasks.into_iter().map(|task| scope.spawn(move || run(task))).collect();
            let results = threads.into_iter().map(thread::ScopedJoinHandle::join);
            results.map(|result| result.unwrap_or_else(|panic| resume_unwind(panic))).collect()
        })
    })
}
