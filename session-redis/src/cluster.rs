//! Which node of a cluster has which key.
//!
//! The driver has a client for clusters, too. It sends a command again when the
//! connection was lost, also one that may have been executed, and cannot be told
//! not to; so that nodes, slots and redirections are looked after here.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use redis::Value;
use session_core::ErrorKind;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use crate::address::Address;
use crate::client::{Node, Place};
use crate::dial::{Dialer, Greeting, Target};
use crate::error::{self, Failure, Next};
use crate::keys::Name;
use crate::work::Work;

const SLOTS: usize = 16_384;

/// The slots are asked for no more often than this.
const REST: Duration = Duration::from_millis(50);

/// For so long the view of a node in doubt waits for that of another, at the most.
const DOUBT: Duration = Duration::from_millis(200);

/// All nodes of a cluster.
pub(crate) struct Cluster {
    seeds: Vec<Address>,
    greeting: Greeting,
    map: RwLock<Map>,
    /// Whether the map is out of date.
    stale: AtomicBool,
    /// Held while waiting for the slots, which are asked for once for all.
    turn: Mutex<Turn>,
}

struct Turn {
    asking: Work<Result<View, Failure>>,
    /// When that was last answered.
    last: Option<Instant>,
    /// Who gave the map.
    source: Option<Address>,
    /// Who gave maps that turned out to be wrong.
    doubted: HashSet<Address>,
}

/// What one node knows of the slots.
struct View {
    from: Address,
    ranges: Vec<Range>,
}

#[derive(Default)]
struct Map {
    nodes: HashMap<Address, Arc<Node>>,
    /// Who has each slot; empty as long as nobody was asked.
    slots: Vec<Option<Arc<Node>>>,
}

impl Cluster {
    pub(crate) fn new(seeds: Vec<Address>, greeting: Greeting) -> Self {
        Self {
            seeds,
            greeting,
            map: RwLock::default(),
            stale: AtomicBool::new(true),
            turn: Mutex::new(Turn {
                asking: Work::new(),
                last: None,
                source: None,
                doubted: HashSet::new(),
            }),
        }
    }

    /// Returns the node that has a place.
    pub(crate) async fn node(&self, place: Place<'_>) -> Result<Arc<Node>, Failure> {
        if self.stale.load(Ordering::Acquire) {
            self.refresh().await?;
        }
        let slot = slot(place);
        self.read(|map| map.slots.get(usize::from(slot)).cloned().flatten()).ok_or_else(|| {
            let message = "the cluster has no server for this session";
            Failure::new(ErrorKind::Unavailable, Next::Again, message)
        })
    }

    /// Returns the first slot of each node that has any.
    pub(crate) async fn first_slots(&self) -> Result<Vec<u16>, Failure> {
        if self.stale.load(Ordering::Acquire) {
            self.refresh().await?;
        }
        Ok(self.read(|map| {
            let mut seen: Vec<&Arc<Node>> = Vec::new();
            let mut first = Vec::new();
            for (slot, node) in (0..).zip(&map.slots) {
                let Some(node) = node else { continue };
                if !seen.iter().any(|known| Arc::ptr_eq(known, node)) {
                    seen.push(node);
                    first.push(slot);
                }
            }
            first
        }))
    }

    /// Returns the node that the one of a place has redirected to, as `host:port` without
    /// brackets around the host.
    pub(crate) fn named(&self, place: Place<'_>, to: &str) -> Option<Arc<Node>> {
        let (host, port) = to.split('@').next()?.rsplit_once(':')?;
        let port = port.parse().ok()?;
        self.write(|map| {
            let asked = map.slots.get(usize::from(slot(place))).and_then(Option::as_ref);
            let asked = asked.and_then(|node| node.dialer.address()).or(self.seeds.first())?;
            let address = asked.announced(host, port)?;
            Some(self.at(map, address))
        })
    }

    /// Takes note that a slot has moved.
    pub(crate) fn moved(&self, place: Place<'_>, to: &str) {
        let slot = usize::from(slot(place));
        match self.named(place, to) {
            Some(node) => self.write(|map| {
                if let Some(entry) = map.slots.get_mut(slot) {
                    *entry = Some(node);
                }
            }),
            None => self.forget_slots(),
        }
    }

    /// Has the slots asked for anew.
    pub(crate) fn forget_slots(&self) {
        self.stale.store(true, Ordering::Release);
    }

    pub(crate) fn close(&self) {
        self.read(|map| map.nodes.values().for_each(|node| node.close()));
    }

    /// Asks who has which slot.
    ///
    /// Whoever gave the map that is out of date now is in doubt: a node that is cut off from
    /// the others does not know what has become of them, and may be the quickest to answer.
    async fn refresh(&self) -> Result<(), Failure> {
        let mut turn = self.turn.lock().await;
        let Turn { asking, last, source, doubted } = &mut *turn;
        let known = self.read(|map| !map.slots.is_empty());
        let rested = last.is_none_or(|last| last.elapsed() >= REST);
        if !self.stale.load(Ordering::Acquire) || (known && !rested) {
            return Ok(());
        }
        // What nobody waited for may be old.
        drop(asking.ended());
        let view = asking.done(self.greeting.timeout, || {
            doubted.extend(source.take());
            let nodes = self.write(|map| {
                for seed in &self.seeds {
                    self.at(map, seed.clone());
                }
                map.nodes.clone()
            });
            survey(nodes, doubted.clone(), DOUBT.min(self.greeting.timeout / 4))
        });
        let View { from, ranges } = view.await.unwrap_or_else(|| Err(error::unreached()))?;
        self.stale.store(false, Ordering::Release);
        self.write(|map| self.take(map, ranges));
        if doubted.contains(&from) {
            // All are alike.
            doubted.clear();
        }
        (*last, *source) = (Some(Instant::now()), Some(from));
        Ok(())
    }

    fn take(&self, map: &mut Map, ranges: Vec<Range>) {
        map.slots = vec![None; SLOTS];
        let mut nodes = HashMap::new();
        for Range { first, last, address } in ranges {
            let node = self.at(map, address.clone());
            nodes.insert(address, Arc::clone(&node));
            for slot in map.slots.iter_mut().take(last + 1).skip(first) {
                *slot = Some(Arc::clone(&node));
            }
        }
        map.nodes = nodes;
    }

    fn at(&self, map: &mut Map, address: Address) -> Arc<Node> {
        let dialer =
            || Dialer { target: Target::Address(address.clone()), greeting: self.greeting.clone() };
        if let Some(node) = map.nodes.get(&address) {
            return Arc::clone(node);
        }
        let node = Arc::new(Node::new(dialer()));
        map.nodes.insert(address, Arc::clone(&node));
        node
    }

    fn read<T>(&self, look: impl FnOnce(&Map) -> T) -> T {
        look(&self.map.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut Map) -> T) -> T {
        change(&mut self.map.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The slots of one primary.
#[derive(Debug, PartialEq, Eq)]
struct Range {
    first: usize,
    last: usize,
    address: Address,
}

/// Asks all nodes at once, and believes the first that answers and is not in doubt. One that
/// is has to do if no other answers.
async fn survey(
    nodes: HashMap<Address, Arc<Node>>,
    doubted: HashSet<Address>,
    patience: Duration,
) -> Result<View, Failure> {
    let asked = nodes.iter().map(async |(address, node)| (address, ask(address, node).await));
    let mut asked: FuturesUnordered<_> = asked.collect();
    let mut in_doubt: Option<(View, Instant)> = None;
    let mut worst: Option<Failure> = None;
    loop {
        let answer = match &in_doubt {
            Some((_, until)) => timeout_at(*until, asked.next()).await.unwrap_or(None),
            None => asked.next().await,
        };
        match answer {
            Some((from, Ok(ranges))) => {
                let view = View { from: from.clone(), ranges };
                if !doubted.contains(from) {
                    return Ok(view);
                }
                in_doubt.get_or_insert((view, Instant::now() + patience));
            }
            Some((_, Err(failure))) => {
                if worst.is_none() || failure.next == Next::GiveUp {
                    worst = Some(failure);
                }
            }
            None => break,
        }
    }
    match in_doubt {
        Some((view, _)) => Ok(view),
        None => Err(worst.unwrap_or_else(error::unexpected)),
    }
}

/// Asks one node who has which slot.
async fn ask(address: &Address, node: &Node) -> Result<Vec<Range>, Failure> {
    let mut cmd = redis::cmd("CLUSTER");
    cmd.arg("SLOTS");
    let live = node.connected().await?;
    match live.ask(&cmd).await {
        Ok(Value::Array(ranges)) => {
            let ranges: Vec<_> = ranges.iter().filter_map(|entry| range(entry, address)).collect();
            if ranges.is_empty() {
                let message = "the cluster has no slots; join its nodes first";
                return Err(Failure::new(ErrorKind::Unavailable, Next::Again, message));
            }
            Ok(ranges)
        }
        Ok(_) => Err(error::unexpected()),
        Err(err)
            if err.detail().is_some_and(|detail| detail.contains("cluster support disabled")) =>
        {
            Err(Failure::new(
                ErrorKind::InvalidConfig,
                Next::GiveUp,
                "the server is no cluster; write redis:// instead of redis+cluster://",
            ))
        }
        Err(err) => Err(error::at_greeting(&err, live.unheard())),
    }
}

/// Reads an entry of `CLUSTER SLOTS`: first, last, primary, replicas.
fn range(entry: &Value, asked: &Address) -> Option<Range> {
    let Value::Array(parts) = entry else { return None };
    let [Value::Int(first), Value::Int(last), Value::Array(primary), ..] = &parts[..] else {
        return None;
    };
    let (host, Value::Int(port)) = (primary.first()?, primary.get(1)?) else { return None };
    let host = match host {
        Value::BulkString(host) => std::str::from_utf8(host).ok()?,
        _ => "",
    };
    let slot = |number: i64| usize::try_from(number).ok().filter(|slot| *slot < SLOTS);
    let address = asked.announced(host, u16::try_from(*port).ok()?)?;
    Some(Range { first: slot(*first)?, last: slot(*last)?, address })
}

fn slot(place: Place<'_>) -> u16 {
    match place {
        Place::Slot(slot) => slot,
        Place::Key(name) => key_slot(name),
    }
}

/// Returns the slot of a key: CRC-16/XMODEM of its hash tag, or of all of it.
fn key_slot(name: &Name<'_>) -> u16 {
    let (mut all, mut tag) = (0, None);
    let mut closed = false;
    for &byte in name.parts().into_iter().flatten() {
        all = crc16(all, byte);
        match (tag, byte) {
            _ if closed => {}
            (None, b'{') => tag = Some((0, true)),
            (Some(_), b'}') => closed = true,
            (Some((crc, _)), _) => tag = Some((crc16(crc, byte), false)),
            (None, _) => {}
        }
    }
    let crc = match tag {
        Some((crc, false)) if closed => crc,
        _ => all,
    };
    crc % 16_384
}

const fn crc16(crc: u16, byte: u8) -> u16 {
    (crc << 8) ^ CRC16[((crc >> 8) as u8 ^ byte) as usize]
}

const CRC16: [u16; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = (index as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
};

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("seeds", &self.seeds).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use session_core::SessionKey;
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::keys::Keys;

    #[test]
    fn the_checksum_is_that_of_the_cluster_specification() {
        assert_eq!(b"123456789".iter().fold(0, |crc, byte| crc16(crc, *byte)), 0x31c3);
    }

    #[test]
    fn a_session_and_its_lock_share_a_slot() {
        for prefix in ["session:", "{app}:", "a{b}c", "x{a}}{c}"] {
            let keys = Keys::new(prefix).unwrap();
            for number in 0..100 {
                let key = SessionKey::from_bytes([number; 32]);
                assert_eq!(key_slot(&keys.session(&key)), key_slot(&keys.lock(&key)), "{prefix}");
            }
        }
    }

    #[test]
    fn a_hash_tag_in_the_prefix_puts_everything_into_one_slot() {
        let keys = Keys::new("{app}:").unwrap();
        let (one, two) = (SessionKey::from_bytes([1; 32]), SessionKey::from_bytes([2; 32]));
        assert_eq!(key_slot(&keys.session(&one)), key_slot(&keys.session(&two)));
        assert_eq!(key_slot(&keys.session(&one)), key_slot(&keys.owner(b"ann")));
    }

    /// Keys are digests in hexadecimal digits: none holds a brace, and the slots that they
    /// come to are as even as chance is, by the chi-square of 128 groups of slots.
    #[test]
    fn sessions_spread_evenly_over_the_slots() {
        const GROUPS: usize = 128;
        const EACH: u32 = 100;
        let keys = Keys::new("session:").unwrap();
        let mut found = [0_u32; GROUPS];
        for number in 0..EACH * GROUPS as u32 {
            let key = SessionKey::from_bytes(Sha256::digest(number.to_le_bytes()).into());
            let name = keys.session(&key);
            assert!(!name.parts().concat().iter().any(|byte| b"{}".contains(byte)));
            found[usize::from(key_slot(&name)) * GROUPS / SLOTS] += 1;
        }
        let square = |count: u32| f64::from(count.abs_diff(EACH)).powi(2) / f64::from(EACH);
        let chi_square: f64 = found.into_iter().map(square).sum();
        // Of 127 degrees of freedom one in a million is above 215.
        assert!((60.0..215.0).contains(&chi_square), "{chi_square}: {found:?}");
    }

    #[test]
    fn nodes_without_a_name_are_where_they_were_asked() {
        let asked = Address::Tcp { host: "seed".into(), port: 1, tls: false };
        let entry = |host: Value| {
            let primary = Value::Array(vec![host, Value::Int(7000)]);
            Value::Array(vec![Value::Int(0), Value::Int(100), primary])
        };
        let at = |host: &str| Address::Tcp { host: host.into(), port: 7000, tls: false };
        for (host, expected) in [
            (Value::BulkString(b"node".to_vec()), "node"),
            (Value::BulkString(Vec::new()), "seed"),
            (Value::BulkString(b"?".to_vec()), "seed"),
            (Value::Nil, "seed"),
        ] {
            let expected = Range { first: 0, last: 100, address: at(expected) };
            assert_eq!(range(&entry(host), &asked), Some(expected));
        }
        assert_eq!(range(&Value::Nil, &asked), None);
    }
}
