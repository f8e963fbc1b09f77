//! The reference implementation keeps every promise, alone and wrapped.

use std::sync::Arc;

use session_core::testkit::{Chaos, cases, concurrency, failures, lock};
use session_core::{MemoryHandler, SessionHandler};

session_core::conformance! { async { MemoryHandler::new() }, two() }

/// Clones share the store.
async fn two() -> (MemoryHandler, MemoryHandler) {
    let handler = MemoryHandler::new();
    (handler.clone(), handler)
}

#[test]
fn a_healthy_chaos_passes_every_case_and_loses_no_capability() {
    let make = || async {
        let shared: Arc<dyn SessionHandler> = Arc::new(MemoryHandler::new());
        Chaos::new(shared)
    };
    assert_eq!(failures(cases(), make), [""; 0]);
    let chaos = Chaos::new(MemoryHandler::new());
    assert!(chaos.locker().is_some() && chaos.lister().is_some() && chaos.index().is_some());
}

#[test]
fn cases_have_names_of_their_own() {
    let mut names: Vec<_> = cases().iter().map(session_core::testkit::Case::name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), cases().len());
}

#[tokio::test]
async fn a_case_is_usable_alone_on_a_runtime_of_one_thread() {
    let handler = MemoryHandler::new();
    concurrency::parallel_increments_all_count(&handler).await;
    lock::a_lock_has_one_holder(&handler).await;
}
