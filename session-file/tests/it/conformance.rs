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
    open(config(durability)).await
}

/// Two that share nothing but the files.
async fn two(durability: Durability) -> (FileHandler, FileHandler) {
    let config = config(durability);
    (open(config.clone()).await, open(config).await)
}

fn config(durability: Durability) -> FileConfig {
    let dir = TempDir::new().unwrap();
    let config = FileConfig::new(dir.path().join("sessions")).with_durability(durability);
    DIRECTORIES.with_borrow_mut(|directories| directories.push(dir));
    config
}

async fn open(config: FileConfig) -> FileHandler {
    let handler = FileHandler::new(config).unwrap();
    handler.open().await.unwrap();
    handler
}

mod full {
    use session_file::Durability::Full;

    session_core::conformance! { super::handler(Full), super::two(Full) }
}

mod process {
    use session_file::Durability::Process;

    session_core::conformance! { super::handler(Process), super::two(Process) }
}
