//! A TCP proxy that breaks connections on demand.
//!
//! It stands between a driver and one server. Cluster, Sentinel and replica
//! sets tell their clients where the nodes are, so it cannot stand there.

mod fault;
mod link;
mod listen;
mod pump;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use self::fault::{Direction, Fault, Hit};
use self::fault::{Faults, Trap};
use self::link::Link;
use self::listen::Gate;

/// A TCP proxy in front of a server, on a free port of 127.0.0.1. It forwards
/// everything until it is told otherwise, and ends when it is dropped.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> session_tests::servers::Result<()> {
/// use session_tests::proxy::{Direction, Fault, Proxy};
/// use session_tests::servers::Redis;
///
/// let redis = Redis::redis().start().await?;
/// let proxy = Proxy::start(redis.address()).await?;
/// let url = proxy.url(&redis.url());
/// // The next request with a SET in it is done, but nobody gets to hear of it.
/// let hit = proxy.next_with(Direction::Request, b"SET", Fault::CutReply);
/// # drop(url);
/// // Here a client of `url` writes.
/// hit.wait().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    target: SocketAddr,
    gate: Gate,
    state: Arc<State>,
}

/// What the proxy and its connections share.
#[derive(Debug, Default)]
struct State {
    inner: Mutex<Inner>,
    accepted: AtomicU64,
    bytes: [AtomicU64; 2],
}

#[derive(Debug, Default)]
struct Inner {
    /// What new connections begin with.
    faults: Faults,
    traps: Vec<Trap>,
    links: BTreeMap<u64, Link>,
}

impl Proxy {
    /// Starts a proxy in front of a server, which need not run yet.
    ///
    /// # Errors
    ///
    /// If no port can be had.
    pub async fn start(target: SocketAddr) -> io::Result<Self> {
        let state = Arc::<State>::default();
        let gate = Gate::open(target, Arc::clone(&state)).await?;
        Ok(Self { address: gate.address()?, target, gate, state })
    }

    /// Returns where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns a URI of the server with the proxy's address in place of its own.
    #[must_use]
    pub fn url(&self, of_server: &str) -> String {
        of_server.replace(&self.target.to_string(), &self.address.to_string())
    }

    /// Treats one direction of all connections like this from now on, those that
    /// are open and those to come.
    pub fn set(&self, direction: Direction, fault: Fault) {
        let mut inner = self.state.lock();
        for link in inner.links.values() {
            link.set(direction, fault.clone());
        }
        inner.faults.set(direction, fault);
    }

    /// Treats one direction of one connection like this from now on. Connections
    /// count from 0 in the order in which they came.
    pub fn set_on(&self, connection: u64, direction: Direction, fault: Fault) {
        if let Some(link) = self.state.lock().links.get(&connection) {
            link.set(direction, fault);
        }
    }

    /// Lets a fault happen to whichever connection sends next in a direction,
    /// and only to that one.
    pub fn next(&self, direction: Direction, fault: Fault) -> Hit {
        self.next_with(direction, b"", fault)
    }

    /// Lets a fault happen to whichever connection next sends these bytes in a
    /// direction, and only to that one. Bytes that come in two pieces are not
    /// recognized; requests are seldom torn.
    pub fn next_with(&self, direction: Direction, bytes: &[u8], fault: Fault) -> Hit {
        let (trap, hit) = Trap::new(direction, bytes, fault);
        self.state.lock().traps.push(trap);
        hit
    }

    /// Forwards everything again, what was held back first. What was swallowed is lost.
    pub fn heal(&self) {
        self.state.lock().traps.clear();
        self.set(Direction::Request, Fault::None);
        self.set(Direction::Reply, Fault::None);
    }

    /// Ends all connections now. New ones may come.
    pub fn cut(&self) {
        for link in self.state.lock().links.values() {
            link.cut();
        }
    }

    /// Ends one connection now.
    pub fn cut_one(&self, connection: u64) {
        if let Some(link) = self.state.lock().links.get(&connection) {
            link.cut();
        }
    }

    /// Refuses new connections, as a machine does where nobody listens. Those
    /// that are open stay.
    pub async fn refuse(&self) {
        self.gate.close().await;
    }

    /// Takes connections again after [`refuse`](Self::refuse).
    ///
    /// # Errors
    ///
    /// If the kernel does not give the port back.
    pub async fn accept(&self) -> io::Result<()> {
        self.gate.reopen(self.target, Arc::clone(&self.state)).await
    }

    /// Returns how many connections have come so far.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.state.accepted.load(Ordering::SeqCst)
    }

    /// Returns which connections are open.
    #[must_use]
    pub fn open(&self) -> Vec<u64> {
        self.state.lock().links.keys().copied().collect()
    }

    /// Returns how many bytes were forwarded in a direction.
    #[must_use]
    pub fn bytes(&self, direction: Direction) -> u64 {
        self.state.bytes[direction as usize].load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
    }
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a connection.
    fn link(&self, number: u64) -> Link {
        let mut inner = self.lock();
        let link = Link::new(&inner.faults);
        inner.links.insert(number, link.clone());
        link
    }

    /// Takes the first trap that these bytes spring.
    fn sprung(&self, direction: Direction, bytes: &[u8]) -> Option<Fault> {
        let traps = &mut self.lock().traps;
        let index = traps.iter().position(|trap| trap.is_sprung_by(direction, bytes))?;
        Some(traps.remove(index).spring())
    }
}
