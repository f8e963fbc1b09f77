//! A Cluster of Redis or Valkey.

use futures_util::future::try_join_all;

use super::{Redis, RedisBuilder};
use crate::servers::wait::until;
use crate::servers::{Authority, Certificate, Clock, PASSWORD, Result};

const PRIMARIES: usize = 3;
const SLOTS: usize = 16_384;

/// A Redis or Valkey Cluster of three primaries, each with a replica, that belongs to one test.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Redis>,
}

/// A cluster before it starts.
#[derive(Clone, Debug)]
#[must_use]
pub struct RedisClusterBuilder(RedisBuilder);

impl RedisClusterBuilder {
    /// Adds a line to the `redis.conf` of every node.
    pub fn config(self, line: &str) -> Self {
        Self(self.0.config(line))
    }

    /// Adds a user with [`PASSWORD`] and the rules to
    /// every node.
    pub fn user(self, name: &str, rules: &str) -> Self {
        Self(self.0.user(name, rules))
    }

    /// Has all nodes speak TLS and nothing else, with clients and with each other.
    pub fn tls(self, authority: &Authority, which: Certificate) -> Self {
        Self(self.0.tls(authority, which))
    }

    /// Lets all of them live by this clock.
    pub fn clock(self, clock: &Clock) -> Self {
        Self(self.0.clock(clock))
    }

    /// Starts the nodes and waits until all agree that the cluster is well.
    ///
    /// # Errors
    ///
    /// If the program cannot be had or does not start.
    pub async fn start(self) -> Result<RedisCluster> {
        let builder = self.0.cluster();
        let nodes = try_join_all((0..2 * PRIMARIES).map(|_| builder.clone().start())).await?;
        let cluster = RedisCluster { nodes };
        cluster.join().await?;
        Ok(cluster)
    }
}

impl RedisCluster {
    /// Returns a cluster of Redis nodes that is not started yet.
    pub fn redis() -> RedisClusterBuilder {
        Self::of(Redis::redis())
    }

    /// Returns a cluster of Valkey nodes that is not started yet.
    pub fn valkey() -> RedisClusterBuilder {
        Self::of(Redis::valkey())
    }

    fn of(node: RedisBuilder) -> RedisClusterBuilder {
        RedisClusterBuilder(node.config("cluster-node-timeout 2000"))
    }

    async fn join(&self) -> Result<()> {
        let (primaries, replicas) = self.nodes.split_at(PRIMARIES);
        for (index, node) in self.nodes.iter().enumerate() {
            let epoch = (index + 1).to_string();
            let _: () = node.query(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch]).await?;
        }
        for (index, node) in primaries.iter().enumerate() {
            let first = index * SLOTS / PRIMARIES;
            let last = (index + 1) * SLOTS / PRIMARIES - 1;
            let range = [&first.to_string(), &last.to_string()];
            let _: () = node.query(&["CLUSTER", "ADDSLOTSRANGE", range[0], range[1]]).await?;
        }
        for node in &self.nodes[1..] {
            let bus: String =
                node.query::<(String, String)>(&["CONFIG", "GET", "cluster-port"]).await?.1;
            let port = node.address().port().to_string();
            let _: () = self.nodes[0].query(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]).await?;
        }
        self.all("the meeting", "cluster_known_nodes", &self.nodes.len().to_string()).await?;
        for (primary, replica) in primaries.iter().zip(replicas) {
            let id = id(primary).await?;
            // Refused until the replica has heard that the other is a primary.
            let replicate = ["CLUSTER", "REPLICATE", &id];
            until("a replica", async || replica.query(&replicate).await.map(|()| true)).await?;
        }
        self.settled().await
    }

    /// Waits until all nodes that run agree that every slot is served, and all
    /// replicas follow their primaries.
    ///
    /// # Errors
    ///
    /// If that takes too long.
    pub async fn settled(&self) -> Result<()> {
        self.all("the cluster", "cluster_slots_ok", &SLOTS.to_string()).await?;
        self.all("the cluster", "cluster_state", "ok").await?;
        for node in self.running() {
            until("a replica", async || {
                let is_primary = node.info("role").await? == "master";
                Ok(is_primary || node.info("master_link_status").await? == "up")
            })
            .await?;
            until("the news of the replicas", async || {
                let view: String = node.query(&["CLUSTER", "NODES"]).await?;
                let healthy = |line: &&str| !line.contains("handshake") && !line.contains("fail");
                let replicas = view.lines().filter(healthy).filter(|line| line.contains("slave"));
                Ok(replicas.count() + PRIMARIES >= self.running().count())
            })
            .await?;
        }
        Ok(())
    }

    /// Waits until all that run say so.
    async fn all(&self, what: &str, field: &str, value: &str) -> Result<()> {
        for node in self.running() {
            until(what, async || {
                let info: String = node.query(&["CLUSTER", "INFO"]).await?;
                Ok(info.lines().any(|line| line.split_once(':') == Some((field, value))))
            })
            .await?;
        }
        Ok(())
    }

    fn running(&self) -> impl Iterator<Item = &Redis> {
        self.nodes.iter().filter(|node| node.process().id().is_some())
    }

    /// Returns the URI for a user with [`PASSWORD`].
    #[must_use]
    pub fn url_of(&self, user: &str) -> String {
        self.url().replace("://", &format!("://{user}:{PASSWORD}@"))
    }

    /// Returns the URI, which names three of the nodes.
    #[must_use]
    pub fn url(&self) -> String {
        let nodes = self.nodes.iter().take(PRIMARIES).map(|node| node.address().to_string());
        let nodes: Vec<_> = nodes.collect();
        format!("{}+cluster://{}", self.nodes[0].scheme(), nodes.join(","))
    }

    /// Returns all nodes. At the start the first three are primaries, and the
    /// other three their replicas in the same order.
    #[must_use]
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// Returns the slot of a key.
    ///
    /// # Errors
    ///
    /// If the cluster does not answer.
    pub async fn slot(&self, key: &str) -> Result<u16> {
        let node = self.running().next().ok_or("no node runs")?;
        node.query(&["CLUSTER", "KEYSLOT", key]).await
    }

    /// Returns the index of the node that serves a slot now.
    ///
    /// # Errors
    ///
    /// If no node says that it does.
    pub async fn primary_of(&self, slot: u16) -> Result<usize> {
        for (index, node) in self.nodes.iter().enumerate() {
            if node.process().id().is_none() {
                continue;
            }
            let view: String = node.query(&["CLUSTER", "NODES"]).await?;
            let own = view.lines().find(|line| line.contains("myself")).unwrap_or_default();
            // Open slots are written in brackets.
            let ranges = own.split_whitespace().skip(8).filter(|range| !range.starts_with('['));
            for range in ranges {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                if (first.parse::<u16>()?..=last.parse()?).contains(&slot) {
                    return Ok(index);
                }
            }
        }
        Err(format!("no node serves slot {slot}").into())
    }

    /// Makes a replica the primary of its slots, without loss.
    ///
    /// # Errors
    ///
    /// If it is no replica, or that takes too long.
    pub async fn failover(&self, replica: usize) -> Result<()> {
        let node = &self.nodes[replica];
        let _: () = node.query(&["CLUSTER", "FAILOVER"]).await?;
        until("the failover", async || Ok(node.info("role").await? == "master")).await?;
        self.settled().await
    }

    /// Waits until a replica has become a primary by itself.
    ///
    /// # Errors
    ///
    /// If that takes too long.
    pub async fn promoted(&self, replica: usize) -> Result<()> {
        let node = &self.nodes[replica];
        until("the failover", async || Ok(node.info("role").await? == "master")).await?;
        self.settled().await
    }

    /// Opens a slot for its move to another primary: from now on keys that the
    /// old one does not have are asked for at the new one (`ASK`).
    ///
    /// # Errors
    ///
    /// If the nodes refuse.
    pub async fn start_migration(&self, slot: u16, to: usize) -> Result<()> {
        let (from, name) = (self.primary_of(slot).await?, slot.to_string());
        let [source, target] = [id(&self.nodes[from]).await?, id(&self.nodes[to]).await?];
        let importing = ["CLUSTER", "SETSLOT", &name, "IMPORTING", &source];
        let _: () = self.nodes[to].query(&importing).await?;
        self.nodes[from].query(&["CLUSTER", "SETSLOT", &name, "MIGRATING", &target]).await
    }

    /// Moves the keys of an open slot, and tells all nodes who serves it (`MOVED`).
    ///
    /// # Errors
    ///
    /// If the nodes refuse.
    pub async fn finish_migration(&self, slot: u16, to: usize) -> Result<()> {
        let (from, name) = (self.primary_of(slot).await?, slot.to_string());
        let port = self.nodes[to].address().port().to_string();
        loop {
            let get = ["CLUSTER", "GETKEYSINSLOT", &name, "100"];
            let keys: Vec<String> = self.nodes[from].query(&get).await?;
            if keys.is_empty() {
                break;
            }
            let mut migrate = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "20000", "KEYS"];
            migrate.extend(keys.iter().map(String::as_str));
            let _: String = self.nodes[from].query(&migrate).await?;
        }
        let target = id(&self.nodes[to]).await?;
        // First the new one, so that at every moment somebody serves it.
        for node in [to, from] {
            let _: () =
                self.nodes[node].query(&["CLUSTER", "SETSLOT", &name, "NODE", &target]).await?;
        }
        self.settled().await
    }
}

async fn id(node: &Redis) -> Result<String> {
    node.query(&["CLUSTER", "MYID"]).await
}
