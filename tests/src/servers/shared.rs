//! Servers that all tests of a run share.

use std::env;

/// A server that runs already, for all tests of a run.
///
/// Each test takes a prefix, table or database of its own on it, and leaves
/// the server's settings alone. Tests that stop, starve or reconfigure a
/// server start their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shared {
    /// One Redis 7.
    Redis,
    /// One Valkey 9.
    Valkey,
    /// Redis Cluster, three nodes and a replica for each.
    RedisCluster,
    /// A Redis with two replicas, behind three Sentinels.
    RedisSentinel,
    /// One MariaDB.
    MariaDb,
    /// One MySQL 9.
    MySql,
    /// One MongoDB without a replica set.
    MongoDb,
    /// A MongoDB replica set of three.
    MongoDbReplicaSet,
}

impl Shared {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Redis,
        Self::Valkey,
        Self::RedisCluster,
        Self::RedisSentinel,
        Self::MariaDb,
        Self::MySql,
        Self::MongoDb,
        Self::MongoDbReplicaSet,
    ];

    /// Returns the environment variable that holds the server's URI.
    #[must_use]
    pub const fn variable(self) -> &'static str {
        match self {
            Self::Redis => "SESSION_TEST_REDIS_URL",
            Self::Valkey => "SESSION_TEST_VALKEY_URL",
            Self::RedisCluster => "SESSION_TEST_REDIS_CLUSTER_URL",
            Self::RedisSentinel => "SESSION_TEST_REDIS_SENTINEL_URL",
            Self::MariaDb => "SESSION_TEST_MARIADB_URL",
            Self::MySql => "SESSION_TEST_MYSQL_URL",
            Self::MongoDb => "SESSION_TEST_MONGODB_URL",
            Self::MongoDbReplicaSet => "SESSION_TEST_MONGODB_REPLICA_SET_URL",
        }
    }

    /// Returns the server's URI.
    ///
    /// # Panics
    ///
    /// If nobody has started the server: a test without its server has failed.
    #[must_use]
    pub fn url(self) -> String {
        let variable = self.variable();
        env::var(variable).unwrap_or_else(|_| {
            panic!(
                "{variable} is not set; run the tests with \
                 `cargo run -p session-tests --bin servers -- cargo test`, or set it"
            )
        })
    }
}
