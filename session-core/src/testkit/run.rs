//! Running cases, by the test harness or by name.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::thread;
use std::time::Duration;

use crate::SessionHandler;

/// After this long a case is taken for stuck.
const STUCK: Duration = Duration::from_secs(300);

/// One case of the kit.
#[derive(Clone, Copy)]
pub struct Case {
    name: &'static str,
    run: Run,
}

type Run = for<'a> fn(&'a dyn SessionHandler) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

impl Case {
    #[doc(hidden)]
    pub const fn new(name: &'static str, run: Run) -> Self {
        Self { name, run }
    }

    /// Returns the name, which is also the function's.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Puts a handler to the test.
    ///
    /// # Panics
    ///
    /// If the handler fails it.
    pub async fn run(&self, handler: &dyn SessionHandler) {
        (self.run)(handler).await;
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Case").field(&self.name).finish()
    }
}

#[doc(hidden)]
#[macro_export]
macro_rules! __table {
    ($($theme:ident { $($case:ident)+ })+) => {
        &[$($($crate::testkit::Case::new(
            stringify!($case),
            |handler| Box::pin($crate::testkit::$theme::$case(handler)),
        )),+),+]
    };
}

/// Returns all cases of the kit.
#[must_use]
pub const fn cases() -> &'static [Case] {
    const CASES: &[Case] = crate::__cases! { __table };
    CASES
}

/// Returns the names of those cases that a handler fails.
///
/// Every case gets a handler of its own from `make`, and all run at once. What
/// the failing ones have to say goes to standard error.
pub fn failures<H, F>(cases: &[Case], make: impl Fn() -> F + Sync) -> Vec<&'static str>
where
    H: SessionHandler,
    F: Future<Output = H>,
{
    let fails = |case: &Case| {
        let attempt = || run(async { case.run(&make().await).await });
        catch_unwind(AssertUnwindSafe(attempt)).is_err()
    };
    thread::scope(|scope| {
        let fails = &fails;
        let threads: Vec<_> =
            cases.iter().map(|case| (case.name, scope.spawn(move || fails(case)))).collect();
        let failed = threads.into_iter().filter_map(|(name, thread)| {
            // A thread that panicked past `catch_unwind` did not pass either.
            thread.join().unwrap_or(true).then_some(name)
        });
        failed.collect()
    })
}

/// Runs a test to its end on a runtime of its own.
///
/// # Panics
///
/// If the test does, or is not done after five minutes.
pub fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime for the test");
    let outcome = runtime.block_on(async { tokio::time::timeout(STUCK, test).await });
    // A call that hangs on a thread of the runtime must not hang the test too.
    runtime.shutdown_background();
    outcome.expect("the handler is stuck: a call did not return within five minutes");
}
