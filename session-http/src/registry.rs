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
    #[cfg(feature = "redis")]
    let registry = registry.with(session_redis::RedisFactory::new());
    #[cfg(not(feature = "redis"))]
    let registry = without_redis(registry);
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

/// Says for each scheme of Redis how to get it.
#[cfg(not(feature = "redis"))]
fn without_redis(registry: Registry) -> Registry {
    let advice = [
        ("redis", "enable the feature `redis` of session-http"),
        ("valkey", "enable the feature `redis` of session-http"),
        ("unix", "enable the feature `redis` of session-http"),
        ("redis+unix", "enable the feature `redis` of session-http"),
        ("rediss", "enable the features `redis` and `tls-rustls` of session-http"),
        ("valkeys", "enable the features `redis` and `tls-rustls` of session-http"),
        ("redis+sentinel", "enable the feature `redis-sentinel` of session-http"),
        ("rediss+sentinel", "enable `redis-sentinel` and `tls-rustls` of session-http"),
        ("redis+cluster", "enable the feature `redis-cluster` of session-http"),
        ("rediss+cluster", "enable `redis-cluster` and `tls-rustls` of session-http"),
    ];
    advice
        .into_iter()
        .fold(registry, |registry, (scheme, advice)| registry.with_absent(scheme, advice))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_enabled_engine_is_known_by_its_scheme() {
        let registry = registry();
        let known: Vec<_> = registry.schemes().collect();
        for (scheme, enabled) in [
            ("memory", true),
            ("file", cfg!(feature = "file")),
            ("redis", cfg!(feature = "redis")),
            ("rediss+cluster", cfg!(feature = "redis")),
            ("mysql", cfg!(feature = "mysql")),
            ("mariadb", cfg!(feature = "mysql")),
            ("mongodb", cfg!(feature = "mongo")),
            ("mongodb+srv", cfg!(feature = "mongo")),
        ] {
            assert_eq!(known.contains(&scheme), enabled, "{scheme} in {known:?}");
        }
    }
}
