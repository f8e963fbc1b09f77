//! The engines that this program was built with.

use session_core::{MemoryFactory, Registry};

/// Returns a registry of the engines whose features are enabled, and memory.
///
/// Add others with [`Registry::with`]. A known engine whose feature is off is
/// an error that names the feature.
#[must_use]
pub fn registry() -> Registry {
    let registry = Registry::new().with(MemoryFactory::new());
    #[cfg(feature = "file")]
    let registry = registry.with(session_file::FileFactory::new());
    #[cfg(not(feature = "file"))]
    let registry = registry.with_absent("file", "enable the feature `file` of session-http");
    registry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_enabled_engine_is_known_by_its_scheme() {
        let mut expected = vec!["memory"];
        if cfg!(feature = "file") {
            expected.insert(0, "file");
        }
        assert_eq!(registry().schemes().collect::<Vec<_>>(), expected);
    }
}
