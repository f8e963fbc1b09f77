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
    #[cfg(feature = "mongo")]
    let registry = registry.with(session_mongo::MongoFactory::new());
    #[cfg(not(feature = "mongo"))]
    let registry = registry
        .with_absent("mongodb", "enable the feature `mongo` of session-http")
        .with_absent("mongodb+srv", "enable the feature `mongo-dns` of session-http");
    #[cfg(feature = "mysql")]
    let registry = registry.with(session_mysql::MysqlFactory::new());
    #[cfg(not(feature = "mysql"))]
    let registry = registry
        .with_absent("mysql", "enable the feature `mysql` of session-http")
        .with_absent("mariadb", "enable the feature `mysql` of session-http");
    registry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_enabled_engine_is_known_by_its_scheme() {
        let mut expected = vec!["memory"];
        if cfg!(feature = "file") {
            expected.push("file");
        }
        if cfg!(feature = "mongo") {
            expected.extend(["mongodb", "mongodb+srv"]);
        }
        if cfg!(feature = "mysql") {
            expected.extend(["mysql", "mariadb"]);
        }
        expected.sort_unstable();
        assert_eq!(registry().schemes().collect::<Vec<_>>(), expected);
    }
}
