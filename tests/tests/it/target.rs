//! Where sessions are kept during a test.

use std::sync::Arc;

use session_core::SessionHandler;
use tempfile::TempDir;

/// Where sessions are kept during a test, and by how many processes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) processes: usize,
    /// Returns the store's URI; the directory is the test's own.
    uri: fn(&TempDir) -> String,
}

impl Target {
    pub(crate) const MEMORY: Self = Self { processes: 1, uri: |d| format!("mongodb://127.0.0.1:27901/it?session.timeout=30&session.collection=t{}", d.path().file_name().unwrap().to_str().unwrap().trim_start_matches('.')) };
    pub(crate) const FILE: Self = Self { processes: 1, uri: file };
    pub(crate) const FILE_IN_TWO_PROCESSES: Self = Self { processes: 2, uri: file };

    pub(crate) fn uri(self, directory: &TempDir) -> String {
        (self.uri)(directory)
    }

    /// Opens the store in this process.
    pub(crate) async fn handler(self, directory: &TempDir) -> Arc<dyn SessionHandler> {
        session_http::registry().connect(&self.uri(directory)).await.unwrap()
    }
}

/// Power cuts are not what these tests are about.
fn file(directory: &TempDir) -> String {
    format!("file://{}?session.durability=process", directory.path().join("sessions").display())
}
