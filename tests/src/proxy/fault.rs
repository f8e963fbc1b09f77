//! What can happen to a connection.

use std::time::Duration;

use tokio::sync::oneshot::{Receiver, Sender, channel};

/// The direction in which bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    Request = 0,
    /// From the server to the client.
    Reply = 1,
}

/// What happens to the bytes of one direction of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// They are forwarded.
    #[default]
    None,
    /// Each piece is forwarded so much later.
    Delay(Duration),
    /// Only so many bytes are forwarded at a time, with a pause after each.
    Slow(usize, Duration),
    /// They are held back, and forwarded when something else is set. The other
    /// end's close is held back too.
    Stall,
    /// They are taken and never forwarded, and neither is the close: the
    /// connection is half-open.
    Swallow,
    /// These bytes are put before them, once.
    Garbage(Vec<u8>),
    /// So many more bytes are forwarded, then both ends are closed. With 0 that
    /// happens when the next byte comes.
    CutAfter(u64),
    /// As [`CutAfter`](Self::CutAfter), but both ends are told of an error
    /// (a reset) and lose what they have not read yet.
    ResetAfter(u64),
    /// They are forwarded, and the connection is cut when the answer comes: the
    /// server has done what was asked, and the client does not know. For
    /// [`Direction::Request`].
    CutReply,
}

/// The faults of both directions.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults([Fault; 2]);

impl Faults {
    pub(super) fn set(&mut self, direction: Direction, fault: Fault) {
        self.0[direction as usize] = fault;
    }

    pub(super) fn get(&self, direction: Direction) -> Fault {
        self.0[direction as usize].clone()
    }
}

/// A fault that waits for its connection.
#[derive(Debug)]
pub(super) struct Trap {
    direction: Direction,
    bytes: Vec<u8>,
    fault: Fault,
    sprung: Sender<()>,
}

impl Trap {
    pub(super) fn new(direction: Direction, bytes: &[u8], fault: Fault) -> (Self, Hit) {
        let (sprung, hit) = channel();
        (Self { direction, bytes: bytes.to_owned(), fault, sprung }, Hit(hit))
    }

    pub(super) fn is_sprung_by(&self, direction: Direction, bytes: &[u8]) -> bool {
        let contains = || bytes.windows(self.bytes.len()).any(|window| window == self.bytes);
        self.direction == direction && (self.bytes.is_empty() || contains())
    }

    pub(super) fn spring(self) -> Fault {
        // Nobody has to listen.
        let _ = self.sprung.send(());
        self.fault
    }
}

/// Tells whether a fault has found its connection.
#[derive(Debug)]
pub struct Hit(Receiver<()>);

impl Hit {
    /// Waits until the fault has found its connection.
    ///
    /// # Panics
    ///
    /// If the proxy was healed or dropped before that.
    pub async fn wait(self) {
        self.0.await.expect("the fault never happened");
    }

    /// Returns whether the fault has found its connection.
    #[must_use]
    pub fn has_happened(&mut self) -> bool {
        self.0.is_terminated() || self.0.try_recv().is_ok()
    }
}
