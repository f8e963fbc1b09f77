//! Where sessions are kept during a test, and by how many processes.

use session_tests::servers::Shared;

/// Where sessions are kept during a test, and by how many processes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) processes: usize,
    pub(crate) store: Store,
}

/// What keeps the sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    Memory,
    File,
    Server(Shared),
}

impl Target {
    pub(crate) const MEMORY: Self = Self { processes: 1, store: Store::Memory };
    pub(crate) const FILE: Self = Self { processes: 1, store: Store::File };
    pub(crate) const FILE_IN_TWO_PROCESSES: Self = Self { processes: 2, store: Store::File };
    pub(crate) const REDIS: Self = one(Shared::Redis);
    pub(crate) const REDIS_IN_TWO_PROCESSES: Self = two(Shared::Redis);
    pub(crate) const VALKEY: Self = one(Shared::Valkey);
    pub(crate) const VALKEY_IN_TWO_PROCESSES: Self = two(Shared::Valkey);
    pub(crate) const REDIS_CLUSTER: Self = one(Shared::RedisCluster);
    pub(crate) const REDIS_CLUSTER_IN_TWO_PROCESSES: Self = two(Shared::RedisCluster);
    pub(crate) const REDIS_SENTINEL: Self = one(Shared::RedisSentinel);
    pub(crate) const REDIS_SENTINEL_IN_TWO_PROCESSES: Self = two(Shared::RedisSentinel);
    pub(crate) const MARIADB: Self = one(Shared::MariaDb);
    pub(crate) const MARIADB_IN_TWO_PROCESSES: Self = two(Shared::MariaDb);
    pub(crate) const MYSQL: Self = one(Shared::MySql);
    pub(crate) const MYSQL_IN_TWO_PROCESSES: Self = two(Shared::MySql);
    pub(crate) const MONGODB: Self = one(Shared::MongoDb);
    pub(crate) const MONGODB_IN_TWO_PROCESSES: Self = two(Shared::MongoDb);
    pub(crate) const REPLICA_SET: Self = one(Shared::MongoDbReplicaSet);
    pub(crate) const REPLICA_SET_IN_TWO_PROCESSES: Self = two(Shared::MongoDbReplicaSet);

    /// Returns whether records that have expired go by themselves, so that there
    /// is nothing to collect.
    pub(crate) const fn expires_by_itself(self) -> bool {
        use Shared::{Redis, RedisCluster, RedisSentinel, Valkey};
        matches!(self.store, Store::Server(Redis | Valkey | RedisCluster | RedisSentinel))
    }
}

/// Returns how often to do what is done so often with `SESSION_TEST_THOROUGH` set: a
/// tenth of that without.
pub(crate) fn often(thorough: usize) -> usize {
    if std::env::var_os("SESSION_TEST_THOROUGH").is_some() { thorough } else { thorough / 10 }
}

const fn one(server: Shared) -> Target {
    Target { processes: 1, store: Store::Server(server) }
}

const fn two(server: Shared) -> Target {
    Target { processes: 2, store: Store::Server(server) }
}
