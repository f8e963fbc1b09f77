//! A Redis or Valkey with replicas, behind Sentinels.

use futures_util::future::try_join_all;

use super::{Redis, RedisBuilder};
use crate::servers::wait::until;
use crate::servers::{Authority, Certificate, Clock, PASSWORD, Result};

/// What the Sentinels call the primary.
const NAME: &str = "mymaster";

/// A Redis or Valkey with two replicas, behind three Sentinels, that belongs to one test.
#[derive(Debug)]
pub struct RedisSentinel {
    nodes: Vec<Redis>,
    sentinels: Vec<Redis>,
}

/// A Redis behind Sentinels before it starts.
#[derive(Clone, Debug)]
#[must_use]
pub struct RedisSentinelBuilder {
    node: RedisBuilder,
    sentinel: RedisBuilder,
}

impl RedisSentinelBuilder {
    /// Adds a line to the `redis.conf` of every node, but not of the Sentinels.
    pub fn config(self, line: &str) -> Self {
        Self { node: self.node.config(line), ..self }
    }

    /// Adds a user with [`PASSWORD`] and the rules to
    /// every node.
    pub fn user(self, name: &str, rules: &str) -> Self {
        Self { node: self.node.user(name, rules), ..self }
    }

    /// Lets nobody in without a password: [`PASSWORD`] at the nodes, and
    /// [another one](RedisSentinel::SENTINELS_PASSWORD) at the Sentinels.
    pub fn passwords(self) -> Self {
        let own = RedisSentinel::SENTINELS_PASSWORD;
        Self {
            node: self.node.password().config(&format!("masterauth {PASSWORD}")),
            sentinel: self
                .sentinel
                .config(&format!("requirepass {own}"))
                .config(&format!("sentinel sentinel-pass {own}"))
                .config(&format!("sentinel auth-pass {NAME} {PASSWORD}")),
        }
    }

    /// Has the nodes and the Sentinels speak TLS and nothing else, with clients and with
    /// each other.
    pub fn tls(self, authority: &Authority, which: Certificate) -> Self {
        Self {
            node: self.node.tls(authority, which),
            sentinel: self.sentinel.tls(authority, which),
        }
    }

    /// Lets the nodes live by this clock. The Sentinels, who watch them, do not.
    pub fn clock(self, clock: &Clock) -> Self {
        Self { node: self.node.clock(clock), ..self }
    }

    /// Starts all and waits until the Sentinels know the replicas and each other.
    ///
    /// # Errors
    ///
    /// If the program cannot be had or does not start.
    pub async fn start(self) -> Result<RedisSentinel> {
        let primary = self.node.clone().start().await?;
        let port = primary.address().port();
        let follow = self.node.config(&format!("replicaof 127.0.0.1 {port}"));
        let replicas = try_join_all((0..2).map(|_| follow.clone().start())).await?;
        // Sentinels look for replicas at once, and then only from time to time.
        until("the replicas", async || Ok(primary.info("connected_slaves").await? == "2")).await?;
        for replica in &replicas {
            let up = async || Ok(replica.info("master_link_status").await? == "up");
            until("a replica", up).await?;
        }
        let watch = self
            .sentinel
            .config(&format!("sentinel monitor {NAME} 127.0.0.1 {port} 2"))
            .config(&format!("sentinel down-after-milliseconds {NAME} 1000"))
            .config(&format!("sentinel failover-timeout {NAME} 3000"));
        let sentinels = try_join_all((0..3).map(|_| watch.clone().start())).await?;
        let nodes = std::iter::once(primary).chain(replicas).collect();
        let all = RedisSentinel { nodes, sentinels };
        all.settled().await?;
        Ok(all)
    }
}

impl RedisSentinel {
    /// The password of Sentinels that [have one](RedisSentinelBuilder::passwords).
    pub const SENTINELS_PASSWORD: &str = "staple-zebra-correct";

    /// Returns Redis behind Sentinels, not started yet.
    pub fn redis() -> RedisSentinelBuilder {
        Self::of(Redis::redis)
    }

    /// Returns Valkey behind Sentinels of its own, not started yet.
    pub fn valkey() -> RedisSentinelBuilder {
        Self::of(Redis::valkey)
    }

    fn of(program: fn() -> RedisBuilder) -> RedisSentinelBuilder {
        // The primary would wait for more replicas before it sends them anything.
        let node = program().config("repl-diskless-sync-delay 0");
        RedisSentinelBuilder { node, sentinel: program().sentinel() }
    }

    /// Waits until each Sentinel sees a primary that is well, two replicas and
    /// two other Sentinels, and all replicas that run follow the primary.
    ///
    /// # Errors
    ///
    /// If that takes too long.
    pub async fn settled(&self) -> Result<()> {
        let wanted = [("flags", "master"), ("num-slaves", "2"), ("num-other-sentinels", "2")];
        for sentinel in &self.sentinels {
            until("a Sentinel", async || {
                let fields: Vec<(String, String)> =
                    sentinel.query(&["SENTINEL", "MASTER", NAME]).await?;
                let has = |(name, value): &(&str, &str)| {
                    fields.iter().any(|(field, is)| field == name && is == value)
                };
                Ok(wanted.iter().all(has))
            })
            .await?;
        }
        until("the replicas", async || {
            let primary = self.primary().await?;
            let running = self.nodes.iter().filter(|node| node.process().id().is_some());
            let replicas: usize = self.nodes[primary].info("connected_slaves").await?.parse()?;
            Ok(replicas + 1 == running.count())
        })
        .await
    }

    /// Returns the URI for a user of the nodes with [`PASSWORD`], without the name of the
    /// primary.
    #[must_use]
    pub fn url_of(&self, user: &str) -> String {
        let url = self.url().replace("://", &format!("://{user}:{PASSWORD}@"));
        url.split('?').next().unwrap_or_default().to_owned()
    }

    /// Returns the URI, which names the Sentinels.
    #[must_use]
    pub fn url(&self) -> String {
        let sentinels: Vec<_> =
            self.sentinels.iter().map(|sentinel| sentinel.address().to_string()).collect();
        let scheme = self.nodes[0].scheme();
        format!("{scheme}+sentinel://{}/0?session.master={NAME}", sentinels.join(","))
    }

    /// Returns the Redis nodes. At the start the first is the primary.
    #[must_use]
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// Returns the Sentinels.
    #[must_use]
    pub fn sentinels(&self) -> &[Redis] {
        &self.sentinels
    }

    /// Returns the index of the node that the Sentinels call the primary.
    ///
    /// # Errors
    ///
    /// If they do not answer or do not agree.
    pub async fn primary(&self) -> Result<usize> {
        let mut ports = Vec::new();
        for sentinel in self.sentinels.iter().filter(|node| node.process().id().is_some()) {
            let get = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME];
            ports.push(sentinel.query::<(String, u16)>(&get).await?.1);
        }
        ports.dedup();
        let [port] = ports[..] else { return Err("the Sentinels do not agree".into()) };
        let index = self.nodes.iter().position(|node| node.address().port() == port);
        index.ok_or_else(|| "the Sentinels name a stranger".into())
    }

    /// Waits until another node than this one is the primary and takes writes,
    /// and returns its index.
    ///
    /// # Errors
    ///
    /// If that takes too long.
    pub async fn primary_after(&self, old: usize) -> Result<usize> {
        let mut new = old;
        until("the failover", async || {
            new = self.primary().await?;
            Ok(new != old && self.nodes[new].info("role").await? == "master")
        })
        .await?;
        Ok(new)
    }

    /// Makes the Sentinels choose another primary, and returns its index.
    ///
    /// # Errors
    ///
    /// If that takes too long.
    pub async fn failover(&self) -> Result<usize> {
        let old = self.primary().await?;
        // Refused as long as the last one is not over.
        let order = ["SENTINEL", "FAILOVER", NAME];
        let give = async || self.sentinels[0].query::<String>(&order).await.map(|_| true);
        until("the order to fail over", give).await?;
        self.primary_after(old).await
    }
}
