//! What the sessions are kept in.

use session_tests::servers::{Mongo, MongoReplicaSet, Redis, Result, Running, Shared, Sql};

/// Starts a server by its name. What it has acknowledged survives a `kill -9`.
pub(crate) async fn start(name: &str) -> Result<Running> {
    Ok(match name {
        "redis" => Running::Redis(Redis::redis().durable().start().await?),
        "valkey" => Running::Redis(Redis::valkey().durable().start().await?),
        "redis-sentinel" => Shared::RedisSentinel.start().await?,
        "redis-cluster" => Shared::RedisCluster.start().await?,
        "mariadb" => Running::Sql(Sql::mariadb().start().await?),
        "mysql" => Running::Sql(Sql::mysql().start().await?),
        "mongodb" => Running::Mongo(Mongo::mongodb().start().await?),
        "mongodb-replica-set" => {
            Running::MongoReplicaSet(MongoReplicaSet::mongodb().start().await?)
        }
        _ => return Err(format!("there is no server `{name}`").into()),
    })
}

/// Breaks a server. Returns `false` if this one does not break like that.
pub(crate) async fn fault(server: &Running, name: &str) -> Result<bool> {
    match (name, server) {
        ("kill-server", Running::Redis(server)) => server.kill(),
        ("kill-server", Running::Sql(server)) => server.kill(),
        ("kill-server", Running::Mongo(server)) => server.kill(),
        ("stop-server", Running::Redis(server)) => server.stop(),
        ("stop-server", Running::Sql(server)) => server.stop(),
        ("stop-server", Running::Mongo(server)) => server.stop(),
        ("failover", Running::RedisSentinel(server)) => drop(server.failover().await?),
        ("failover", Running::MongoReplicaSet(server)) => drop(server.step_down().await?),
        _ => return Ok(false),
    }
    Ok(true)
}

/// Repairs a server.
pub(crate) async fn heal(server: &Running, name: &str) -> Result<()> {
    match (name, server) {
        ("kill-server", Running::Redis(server)) => server.restart().await?,
        ("kill-server", Running::Sql(server)) => server.restart().await?,
        ("kill-server", Running::Mongo(server)) => server.restart().await?,
        ("stop-server", Running::Redis(server)) => server.resume(),
        ("stop-server", Running::Sql(server)) => server.resume(),
        ("stop-server", Running::Mongo(server)) => server.resume(),
        _ => {}
    }
    Ok(())
}

/// Adds options to a URI.
pub(crate) fn with_options(uri: &str, options: &[String]) -> String {
    let mut uri = uri.to_owned();
    for option in options {
        uri.push(if uri.contains('?') { '&' } else { '?' });
        uri.push_str(option);
    }
    uri
}
