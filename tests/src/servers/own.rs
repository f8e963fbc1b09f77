//! The part of a server that belongs to one test.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use mongodb::bson::{Document, doc};
use redis::aio::MultiplexedConnection;
use sqlx::{AssertSqlSafe, Connection, MySqlConnection};

use std::time::Duration;

use super::redis::redis_connection;
use super::{Result, Shared};

/// The part of a server that belongs to one test: a prefix, tables or a database
/// with a name that no other test has.
#[derive(Clone, Debug)]
pub struct Own {
    which: Shared,
    server: String,
    name: String,
}

impl Own {
    /// Takes a part of a server, by the URI of the server.
    #[must_use]
    pub fn of(which: Shared, server: String) -> Self {
        Self { which, server, name: format!("t{:016x}", fastrand::u64(..)) }
    }

    /// Takes a part of the server that all tests share.
    ///
    /// # Panics
    ///
    /// If nobody has started the server.
    #[must_use]
    pub fn shared(which: Shared) -> Self {
        Self::of(which, which.url())
    }

    /// Returns the URI of a store in it.
    #[must_use]
    pub fn url(&self) -> String {
        let Self { server, name, .. } = self;
        let and = if server.contains('?') { '&' } else { '?' };
        match self.kind() {
            Kind::Redis => format!("{server}{and}session.prefix={name}:"),
            Kind::Sql => format!("{server}{and}session.table={name}"),
            Kind::Mongo => self.database(),
        }
    }

    /// Lets everything in it become older, as if so much time had passed on the server.
    ///
    /// # Errors
    ///
    /// If the server does not answer, and for all but MongoDB: their time is
    /// moved by [`Timed`](super::Timed).
    pub async fn age(&self, by: Duration) -> Result<()> {
        if self.kind() != Kind::Mongo {
            return Err("the time of this server can be moved".into());
        }
        let by = i64::try_from(by.as_millis())?;
        let is_date = doc! { "$eq": [{ "$type": "$$this.v" }, "date"] };
        let older = doc! { "$subtract": ["$$this.v", by] };
        let value = doc! { "$cond": [is_date, older, "$$this.v"] };
        let fields = doc! {
            "input": { "$objectToArray": "$$ROOT" },
            "in": { "k": "$$this.k", "v": value },
        };
        let update = vec![doc! { "$replaceWith": { "$arrayToObject": { "$map": fields } } }];
        let client = mongodb::Client::with_uri_str(&self.server).await?;
        let database = client.database(&self.name);
        for name in database.list_collection_names().await? {
            let collection = database.collection::<Document>(&name);
            collection.update_many(doc! {}, update.clone()).await?;
        }
        client.shutdown().await;
        Ok(())
    }

    /// Removes everything that is in it.
    ///
    /// # Errors
    ///
    /// If the server does not answer.
    pub async fn clear(&self) -> Result<()> {
        match self.kind() {
            Kind::Redis => self.clear_redis().await,
            Kind::Sql => self.clear_sql().await,
            Kind::Mongo => {
                let client = mongodb::Client::with_uri_str(&self.server).await?;
                client.database(&self.name).drop().await?;
                client.shutdown().await;
                Ok(())
            }
        }
    }

    async fn clear_redis(&self) -> Result<()> {
        for (mut node, keys) in self.redis_keys().await? {
            for key in keys {
                // One by one, as they have different slots in a cluster.
                let _: () = redis::cmd("UNLINK").arg(key).query_async(&mut node).await?;
            }
        }
        Ok(())
    }

    /// Returns how many records are in it, and those which the server would keep for
    /// ever: their keys in Redis, their ids in MongoDB.
    ///
    /// # Errors
    ///
    /// If the server does not answer, and for MariaDB and MySQL: their tables require
    /// a deadline.
    pub async fn endless(&self) -> Result<(u64, Vec<String>)> {
        match self.kind() {
            Kind::Redis => self.endless_in_redis().await,
            Kind::Mongo => self.endless_in_mongo().await,
            Kind::Sql => Err("no row is without a deadline".into()),
        }
    }

    async fn endless_in_redis(&self) -> Result<(u64, Vec<String>)> {
        let (mut records, mut endless) = (0, Vec::new());
        for (mut node, keys) in self.redis_keys().await? {
            for key in keys {
                let left: i64 = redis::cmd("PTTL").arg(&key).query_async(&mut node).await?;
                records += 1;
                if left == -1 {
                    endless.push(key);
                }
            }
        }
        Ok((records, endless))
    }

    async fn endless_in_mongo(&self) -> Result<(u64, Vec<String>)> {
        let (mut records, mut endless) = (0, Vec::new());
        let client = mongodb::Client::with_uri_str(&self.server).await?;
        let database = client.database(&self.name);
        let no_date = doc! { "$not": { "$type": "date" } };
        for name in database.list_collection_names().await? {
            let collection = database.collection::<Document>(&name);
            records += collection.count_documents(doc! {}).await?;
            let filter = doc! { "exp": no_date.clone(), "until": no_date.clone() };
            let mut found = collection.find(filter).await?;
            while found.advance().await? {
                endless.push(format!("{name}: {:?}", found.current().get("_id")));
            }
        }
        client.shutdown().await;
        Ok((records, endless))
    }

    /// Returns the keys in it, with the node that has them.
    async fn redis_keys(&self) -> Result<Vec<(MultiplexedConnection, Vec<String>)>> {
        let pattern = format!("{}:*", self.name);
        let mut all = Vec::new();
        for mut node in self.primaries().await? {
            let (mut cursor, mut keys) = (0_u64, BTreeSet::new());
            loop {
                let scan = redis::cmd("SCAN").arg(cursor).arg("MATCH").arg(&pattern).to_owned();
                let (next, page): (u64, Vec<String>) = scan.query_async(&mut node).await?;
                // A key may be on several pages.
                keys.extend(page);
                cursor = next;
                if cursor == 0 {
                    break;
                }
            }
            all.push((node, keys.into_iter().collect()));
        }
        Ok(all)
    }

    /// Connects to all nodes that take writes.
    async fn primaries(&self) -> Result<Vec<MultiplexedConnection>> {
        let (scheme, rest) = self.server.split_once("://").ok_or("no URI")?;
        if !scheme.contains('+') {
            return Ok(vec![redis_connection(self.server.as_str()).await?]);
        }
        let first = rest.split([',', '/', '?']).next().unwrap_or_default();
        let mut first = redis_connection(format!("redis://{first}")).await?;
        let mut nodes = Vec::new();
        if scheme.contains("sentinel") {
            let name = rest.split("session.master=").nth(1).unwrap_or("mymaster");
            let name = name.split('&').next().unwrap_or_default();
            let ask = redis::cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(name).to_owned();
            let (host, port): (String, u16) = ask.query_async(&mut first).await?;
            nodes.push(redis_connection(format!("redis://{host}:{port}")).await?);
        } else {
            let ask = redis::cmd("CLUSTER").arg("NODES").to_owned();
            let view: String = ask.query_async(&mut first).await?;
            for line in view.lines().filter(|line| line.contains("master")) {
                let address = line.split([' ', '@']).nth(1).unwrap_or_default();
                let address: SocketAddr = address.parse()?;
                nodes.push(redis_connection(format!("redis://{address}")).await?);
            }
        }
        Ok(nodes)
    }

    async fn clear_sql(&self) -> Result<()> {
        let mut connection = MySqlConnection::connect(&self.server).await?;
        let tables: Vec<String> = sqlx::query_scalar(
            "SELECT CAST(table_name AS CHAR) FROM information_schema.tables \
             WHERE table_schema = DATABASE() AND table_name LIKE CONCAT(?, '%')",
        )
        .bind(&self.name)
        .fetch_all(&mut connection)
        .await?;
        for table in tables {
            let drop = AssertSqlSafe(format!("DROP TABLE `{table}`"));
            sqlx::raw_sql(drop).execute(&mut connection).await?;
        }
        Ok(connection.close().await?)
    }

    /// Returns the URI with the database of its own in place of the server's.
    fn database(&self) -> String {
        let (path, options) = self.server.split_once('?').unwrap_or((&self.server, ""));
        let hosts = path.rsplit_once('/').map_or(path, |(hosts, _)| hosts);
        let mark = if options.is_empty() { "" } else { "?" };
        format!("{hosts}/{}{mark}{options}", self.name)
    }

    const fn kind(&self) -> Kind {
        match self.which {
            Shared::Redis | Shared::Valkey | Shared::RedisCluster | Shared::RedisSentinel => {
                Kind::Redis
            }
            Shared::MariaDb | Shared::MySql => Kind::Sql,
            Shared::MongoDb | Shared::MongoDbReplicaSet => Kind::Mongo,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Redis,
    Sql,
    Mongo,
}
