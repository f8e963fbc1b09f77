//! The contract of every handler, at both levels of durability.

use std::cell::RefCell;

use session_core::SessionHandler;
use session_file::{Durability, FileConfig, FileHandler};
use tempfile::TempDir;

thread_local! {
    /// The directories of the tests on this thread, which ends with its test.
    static DIRECTORIES: RefCell<Vec<TempDir>> = const { RefCell::new(Vec::new()) };
}

async fn handler(durability: Durability) -> FileHandler {
    let dir = TempDir::new().unwrap();
    let config = FileConfig::new(dir.path().join("sessions")).with_durability(durability);
    DIRECTORIES.with_borrow_mut(|directories| directories.push(dir));
    let handler = FileHandler::new(config).unwrap();
    handler.open().await.unwrap();
    handler
}

mod full {
    session_core::conformance! { super::handler(session_file::Durability::Full) }
}

mod process {
    session_core::conformance! { super::handler(session_file::Durability::Process) }
}
