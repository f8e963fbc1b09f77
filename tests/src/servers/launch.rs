//! Starting the servers that tests share.

use super::{
    Mongo, MongoReplicaSet, Process, Redis, RedisCluster, RedisSentinel, Result, Shared, Sql,
};

/// A server that was started to be shared. It ends when this is dropped.
#[derive(Debug)]
pub enum Running {
    /// Redis or Valkey.
    Redis(Redis),
    /// Redis Cluster.
    RedisCluster(RedisCluster),
    /// Redis behind Sentinels.
    RedisSentinel(RedisSentinel),
    /// MariaDB or MySQL.
    Sql(Sql),
    /// MongoDB.
    Mongo(Mongo),
    /// A replica set of MongoDB.
    MongoReplicaSet(MongoReplicaSet),
}

impl Shared {
    /// Starts the server.
    ///
    /// # Errors
    ///
    /// If its program cannot be had or does not start.
    pub async fn start(self) -> Result<Running> {
        Ok(match self {
            Self::Redis => Running::Redis(Redis::redis().start().await?),
            Self::Valkey => Running::Redis(Redis::valkey().start().await?),
            Self::RedisCluster => Running::RedisCluster(RedisCluster::redis().start().await?),
            Self::RedisSentinel => Running::RedisSentinel(RedisSentinel::redis().start().await?),
            Self::MariaDb => Running::Sql(Sql::mariadb().start().await?),
            Self::MySql => Running::Sql(Sql::mysql().start().await?),
            Self::MongoDb => Running::Mongo(Mongo::mongodb().start().await?),
            Self::MongoDbReplicaSet => {
                Running::MongoReplicaSet(MongoReplicaSet::mongodb().steady().start().await?)
            }
        })
    }
}

impl Running {
    /// Returns the server's URI.
    #[must_use]
    pub fn url(&self) -> String {
        match self {
            Self::Redis(server) => server.url(),
            Self::RedisCluster(server) => server.url(),
            Self::RedisSentinel(server) => server.url(),
            Self::Sql(server) => server.url(),
            Self::Mongo(server) => server.url(),
            Self::MongoReplicaSet(server) => server.url(),
        }
    }

    /// Returns the process, if there is one alone.
    #[must_use]
    pub const fn process(&self) -> Option<&Process> {
        match self {
            Self::Redis(server) => Some(server.process()),
            Self::Sql(server) => Some(server.process()),
            Self::Mongo(server) => Some(server.process()),
            Self::RedisCluster(_) | Self::RedisSentinel(_) | Self::MongoReplicaSet(_) => None,
        }
    }

    /// Returns what runs, with its version.
    ///
    /// # Errors
    ///
    /// If the server does not answer.
    pub async fn version(&self) -> Result<String> {
        Ok(match self {
            Self::Redis(server) => server.version().await?,
            Self::RedisCluster(server) => {
                format!("{}, Cluster of 3 with a replica each", server.nodes()[0].version().await?)
            }
            Self::RedisSentinel(server) => {
                format!("{}, 2 replicas, 3 Sentinels", server.nodes()[0].version().await?)
            }
            Self::Sql(server) => server.version().await?,
            Self::Mongo(server) => server.version().await?,
            Self::MongoReplicaSet(server) => {
                format!("{}, replica set of 3", server.members()[0].version().await?)
            }
        })
    }
}
