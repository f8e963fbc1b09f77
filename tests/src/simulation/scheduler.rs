//! Runs tasks on one thread, in an order that a seed decides.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use session_core::{BoxFuture, Clock, Runtime, Timestamp};

/// One of so many steps lets a timer end although there is other work to do.
const HASTE: u32 = 400;
/// One of so many steps lets time pass.
const TICK: u32 = 8;
/// How many milliseconds pass at the most when time does.
const MOST_MILLIS: u64 = 24;

/// Timers from here on end only when there is nothing else to do.
const LONG: Duration = Duration::from_secs(5);

/// Runs tasks on one thread, in an order that a seed decides. It is also the
/// clock, and the timers: a timer may end at any moment.
#[derive(Clone)]
pub struct Scheduler(Arc<Shared>);

struct Shared {
    random: Mutex<fastrand::Rng>,
    spawned: Mutex<Vec<BoxFuture<()>>>,
    timers: Mutex<Vec<Arc<Timer>>>,
    millis: AtomicU64,
    /// Makes every moment of the history another one.
    moments: AtomicU64,
}

struct Task {
    future: BoxFuture<()>,
    ready: Arc<Ready>,
}

#[derive(Debug)]
struct Ready(AtomicBool);

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[derive(Debug, Default)]
struct Timer {
    /// Whether it is so long that it ends only when there is nothing else to do.
    long: bool,
    over: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scheduler {
    /// Makes a scheduler without tasks.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Shared {
            random: Mutex::new(fastrand::Rng::with_seed(seed)),
            spawned: Mutex::default(),
            timers: Mutex::default(),
            millis: AtomicU64::new(1_700_000_000_000),
            moments: AtomicU64::new(0),
        }))
    }

    /// Adds a task.
    pub fn add(&self, task: impl Future<Output = ()> + Send + 'static) {
        lock(&self.0.spawned).push(Box::pin(task));
    }

    /// Draws a number below `bound`.
    #[must_use]
    pub fn draw(&self, bound: u32) -> u32 {
        lock(&self.0.random).u32(..bound)
    }

    /// Returns a moment later than any before, in nanoseconds, in step with the clock.
    #[must_use]
    pub fn moment(&self) -> u64 {
        let moment = self.0.moments.fetch_add(1, Ordering::Relaxed);
        self.0.millis.load(Ordering::Relaxed) * 1_000_000 + moment
    }

    /// Gives way to the other tasks.
    pub async fn give_way(&self) {
        let mut gave_way = false;
        std::future::poll_fn(|cx| {
            if std::mem::replace(&mut gave_way, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    /// Runs all tasks to their ends. Returns how many can never come to theirs.
    #[must_use]
    pub fn run(&self) -> usize {
        let mut tasks: Vec<Task> = Vec::new();
        let mut ready = Vec::new();
        loop {
            for future in lock(&self.0.spawned).drain(..) {
                tasks.push(Task { future, ready: Arc::new(Ready(AtomicBool::new(true))) });
            }
            ready.clear();
            let waiting = tasks.iter().enumerate();
            ready.extend(
                waiting.filter(|(_, task)| task.ready.0.load(Ordering::Relaxed)).map(|(at, _)| at),
            );
            if self.draw(TICK) == 0 {
                let millis = u64::from(self.draw(u32::try_from(MOST_MILLIS).unwrap_or(u32::MAX)));
                self.0.millis.fetch_add(millis, Ordering::Relaxed);
            }
            let idle = ready.is_empty();
            if (idle || self.draw(HASTE) == 0) && self.end_a_timer(idle) {
                continue;
            }
            if idle {
                return tasks.len();
            }
            let at = ready[self.draw(u32::try_from(ready.len()).unwrap_or(u32::MAX)) as usize];
            let task = &mut tasks[at];
            task.ready.0.store(false, Ordering::Relaxed);
            let waker = Waker::from(Arc::clone(&task.ready));
            if task.future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                drop(tasks.swap_remove(at));
            }
        }
    }

    /// Ends one of the timers, and a long one only if there is no other.
    fn end_a_timer(&self, idle: bool) -> bool {
        let mut timers = lock(&self.0.timers);
        // Those that nobody waits for any more are referenced from here only.
        timers.retain(|timer| Arc::strong_count(timer) > 1);
        let long = idle && timers.iter().all(|timer| timer.long);
        let fits: Vec<_> = (0..timers.len()).filter(|at| timers[*at].long == long).collect();
        if fits.is_empty() {
            return false;
        }
        let at = fits[self.draw(u32::try_from(fits.len()).unwrap_or(u32::MAX)) as usize];
        let timer = timers.swap_remove(at);
        timer.over.store(true, Ordering::Relaxed);
        if let Some(waker) = lock(&timer.waker).take() {
            waker.wake();
        }
        true
    }
}

impl Runtime for Scheduler {
    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        let timer = Arc::new(Timer { long: duration >= LONG, ..Timer::default() });
        lock(&self.0.timers).push(Arc::clone(&timer));
        Box::pin(std::future::poll_fn(move |cx| {
            if timer.over.load(Ordering::Relaxed) {
                return Poll::Ready(());
            }
            *lock(&timer.waker) = Some(cx.waker().clone());
            Poll::Pending
        }))
    }

    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) -> bool {
        lock(&self.0.spawned).push(task);
        true
    }
}

impl Clock for Scheduler {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.millis.load(Ordering::Relaxed))
    }
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler").finish_non_exhaustive()
    }
}
