//! The servers, and which of them has what.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use session_core::{Operation, Result};

use crate::address::{Location, Topology};
use crate::call::Call;
#[cfg(feature = "cluster")]
use crate::cluster::Cluster;
use crate::config::RedisConfig;
use crate::dial::{Dialer, Greeting, Target};
use crate::error::Failure;
#[cfg(not(all(feature = "cluster", feature = "sentinel")))]
use crate::error::invalid;
use crate::keys::Name;
use crate::link::Link;
#[cfg(feature = "cluster")]
use crate::link::Live;
#[cfg(feature = "sentinel")]
use crate::sentinel::Sentinels;

/// The servers, as one.
#[derive(Debug)]
pub(crate) struct Client {
    servers: Servers,
    pub(crate) timeout: Duration,
    pub(crate) acks: Option<Acks>,
}

/// How many replicas must confirm a write, and within how many milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acks {
    pub(crate) replicas: u32,
    pub(crate) millis: u64,
}

enum Servers {
    One(Arc<Node>),
    #[cfg(feature = "cluster")]
    Cluster(Box<Cluster>),
}

/// One server.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) dialer: Dialer,
    /// For everything.
    pub(crate) shared: Link,
    /// For writes that wait for replicas: whoever shares a connection with such
    /// a write waits as well.
    pub(crate) waiting: Link,
}

impl Node {
    pub(crate) fn new(dialer: Dialer) -> Self {
        Self { dialer, shared: Link::new(), waiting: Link::new() }
    }

    /// Returns the connection to this very node.
    #[cfg(feature = "cluster")]
    pub(crate) async fn connected(&self) -> Result<Live, Failure> {
        self.shared.connected(&self.dialer).await
    }

    pub(crate) fn close(&self) {
        self.shared.close();
        self.waiting.close();
    }
}

/// Where a command belongs.
#[derive(Clone, Copy)]
#[cfg_attr(not(feature = "cluster"), expect(dead_code, reason = "one server has it all"))]
pub(crate) enum Place<'a> {
    /// To the server that has this key.
    Key(&'a Name<'a>),
    /// To the server that has this slot of the cluster.
    Slot(u16),
}

impl Client {
    pub(crate) fn new(config: &RedisConfig, location: &Location) -> Result<Self> {
        let greeting = Greeting::new(location, config)?;
        let one = |target| {
            let dialer = Dialer { target, greeting: greeting.clone() };
            Servers::One(Arc::new(Node::new(dialer)))
        };
        let servers = match location.topology {
            #[cfg(feature = "sentinel")]
            Topology::Sentinel => {
                one(Target::Sentinel(Arc::new(Sentinels::new(location, config, &greeting))))
            }
            #[cfg(feature = "cluster")]
            Topology::Cluster => Servers::Cluster(Box::new(Cluster::new(
                location.addresses.clone(),
                greeting.clone(),
            ))),
            #[cfg(not(feature = "sentinel"))]
            Topology::Sentinel => {
                return Err(invalid(
                    "for Sentinel enable `sentinel` of session-redis (`redis-sentinel` of session-http)",
                ));
            }
            #[cfg(not(feature = "cluster"))]
            Topology::Cluster => {
                return Err(invalid(
                    "for Cluster enable `cluster` of session-redis (`redis-cluster` of session-http)",
                ));
            }
            Topology::Single => one(Target::Address(location.addresses[0].clone())),
        };
        Ok(Self::of(servers, config))
    }

    /// Uses an application's own client.
    pub(crate) fn from_driver(client: redis::Client, config: &RedisConfig) -> Result<Self> {
        let greeting = Greeting::new(&Location::nowhere(), config)?;
        let dialer = Dialer { target: Target::Client(client), greeting };
        Ok(Self::of(Servers::One(Arc::new(Node::new(dialer))), config))
    }

    fn of(servers: Servers, config: &RedisConfig) -> Self {
        let acks = (config.min_replica_acks > 0).then(|| Acks {
            replicas: config.min_replica_acks,
            millis: crate::record::millis(config.replica_timeout),
        });
        Self { servers, timeout: config.timeout, acks }
    }

    /// Begins an operation: its deadline counts from now.
    pub(crate) fn begin(&self, op: Operation) -> Call<'_> {
        Call::new(self, op)
    }

    pub(crate) fn close(&self) {
        match &self.servers {
            Servers::One(node) => node.close(),
            #[cfg(feature = "cluster")]
            Servers::Cluster(cluster) => cluster.close(),
        }
    }

    /// Returns a slot of each server that has any, in the order of the slots.
    /// One server counts as one with slot 0.
    pub(crate) async fn slots(&self) -> Result<Vec<u16>, Failure> {
        match &self.servers {
            Servers::One(_) => Ok(vec![0]),
            #[cfg(feature = "cluster")]
            Servers::Cluster(cluster) => cluster.first_slots().await,
        }
    }

    pub(crate) async fn node(&self, place: Place<'_>) -> Result<Arc<Node>, Failure> {
        match &self.servers {
            Servers::One(node) => {
                let _ = place;
                Ok(Arc::clone(node))
            }
            #[cfg(feature = "cluster")]
            Servers::Cluster(cluster) => cluster.node(place).await,
        }
    }

    /// Returns the node that a redirection of a place names.
    pub(crate) fn redirected(&self, place: Place<'_>, to: &str) -> Option<Arc<Node>> {
        match &self.servers {
            Servers::One(_) => {
                let _ = (place, to);
                None
            }
            #[cfg(feature = "cluster")]
            Servers::Cluster(cluster) => cluster.named(place, to),
        }
    }

    /// Takes note that a place has moved.
    pub(crate) fn moved(&self, place: Place<'_>, to: &str) {
        match &self.servers {
            Servers::One(_) => {
                let _ = (place, to);
            }
            #[cfg(feature = "cluster")]
            Servers::Cluster(cluster) => cluster.moved(place, to),
        }
    }

    /// Takes note that the servers are not where they were thought to be.
    pub(crate) fn lost_track(&self) {
        match &self.servers {
            Servers::One(_) => {}
            #[cfg(feature = "cluster")]
            Servers::Cluster(cluster) => cluster.forget_slots(),
        }
    }
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(node) => node.fmt(f),
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => cluster.fmt(f),
        }
    }
}
