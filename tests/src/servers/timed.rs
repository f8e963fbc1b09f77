//! Servers whose time of day a test moves.

use std::time::Duration;

use super::sql::SqlBuilder;
use super::wait::until;
use super::{Clock, Redis, RedisCluster, RedisSentinel, Result, Running, Shared, Sql};

/// The user of a [`Sql`] server who lives by a clock.
const USER: &str = "clocked";

/// A server whose time of day stands still until a test moves it.
///
/// Redis and Valkey read the time of a file in place of the machine's. MariaDB and
/// MySQL give every connection of their user the time that it shall believe.
/// MongoDB has no such way that works: see [`Own::age`](super::Own::age).
#[derive(Debug)]
pub struct Timed {
    running: Running,
    clock: Clock,
}

impl Shared {
    /// Starts a server of this kind for tests that move its time of day.
    ///
    /// # Errors
    ///
    /// If its program cannot be had or does not start, and for MongoDB.
    pub async fn start_timed(self) -> Result<Timed> {
        let clock = Clock::new()?;
        let running = match self {
            Self::Redis => Running::Redis(Redis::redis().clock(&clock).start().await?),
            Self::Valkey => Running::Redis(Redis::valkey().clock(&clock).start().await?),
            Self::RedisCluster => {
                Running::RedisCluster(RedisCluster::redis().clock(&clock).start().await?)
            }
            Self::RedisSentinel => {
                Running::RedisSentinel(RedisSentinel::redis().clock(&clock).start().await?)
            }
            Self::MariaDb => Running::Sql(clocked(Sql::mariadb()).await?),
            Self::MySql => Running::Sql(clocked(Sql::mysql()).await?),
            Self::MongoDb | Self::MongoDbReplicaSet => {
                return Err("the time of a MongoDB cannot be moved".into());
            }
        };
        let timed = Timed { running, clock };
        timed.advance(Duration::ZERO).await?;
        Ok(timed)
    }
}

impl Timed {
    /// Returns the server's URI.
    #[must_use]
    pub fn url(&self) -> String {
        match &self.running {
            Running::Sql(sql) => sql.url_of(USER),
            running => running.url(),
        }
    }

    /// Moves the server's time of day forward.
    ///
    /// Connections to MariaDB and MySQL end, as after a restart.
    ///
    /// # Errors
    ///
    /// If the server does not answer.
    pub async fn advance(&self, by: Duration) -> Result<()> {
        self.clock.advance(by)?;
        match &self.running {
            Running::Redis(redis) => redis.follow(&self.clock).await,
            Running::RedisCluster(cluster) => follow(cluster.nodes(), &self.clock).await,
            Running::RedisSentinel(group) => follow(group.nodes(), &self.clock).await,
            Running::Sql(sql) => match self.clock.now() {
                Some(now) => set(sql, now).await,
                None => Ok(()),
            },
            // None of them is started here.
            Running::Mongo(_) | Running::MongoReplicaSet(_) => Ok(()),
        }
    }
}

async fn follow(nodes: &[Redis], clock: &Clock) -> Result<()> {
    for node in nodes {
        node.follow(clock).await?;
    }
    Ok(())
}

/// Starts a server with a user for whom the time can be set: one who may do
/// everything would not get it.
async fn clocked(builder: SqlBuilder) -> Result<Sql> {
    let sql = builder.option("--sysdate-is-now").start().await?;
    sql.user(USER, "ALL ON tests.*").await?;
    Ok(sql)
}

/// Gives a time to all connections to come, and ends those that have another.
async fn set(sql: &Sql, now: Duration) -> Result<()> {
    let time = format!("{}.{:06}", now.as_secs(), now.subsec_micros());
    sql.run(&format!("SET GLOBAL init_connect = 'SET timestamp = {time}'")).await?;
    until("the end of the connections", async || {
        let open = sql.connections_of(USER).await?;
        for id in &open {
            // It may have ended by itself.
            drop(sql.run(&format!("KILL {id}")).await);
        }
        Ok(open.is_empty())
    })
    .await
}
