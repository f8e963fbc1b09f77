//! Handlers on databases of their own.

use std::sync::atomic::{AtomicU32, Ordering};

use session_core::SessionHandler;
use session_mongo::{MongoConfig, MongoHandler};
use session_tests::servers::Shared;

/// Returns the name of a database that no other test has, in this run or another.
pub(crate) fn fresh_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("session_test_{}_{count}_{:08x}", std::process::id(), fastrand::u32(..))
}

/// Opens a handler on an empty database of its own.
pub(crate) async fn handler(server: Shared) -> MongoHandler {
    let handler = MongoHandler::new(config(server)).expect("a configuration");
    handler.open().await.expect("open");
    handler
}

/// Returns settings for a database of its own. What a slow machine needs longer
/// for is not what these tests are about.
pub(crate) fn config(server: Shared) -> MongoConfig {
    MongoConfig::new(server.url())
        .with_database(fresh_name())
        .with_timeout(std::time::Duration::from_secs(30))
}
