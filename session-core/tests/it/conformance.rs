//! The reference implementation keeps every promise, alone and wrapped.

use std::sync::Arc;

use session_core::testkit::{Chaos, cases, failures};
use session_core::{MemoryHandler, SessionHandler};

session_core::conformance! { async { MemoryHandler::new() } }

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
