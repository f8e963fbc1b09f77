//! One direction of a connection.

use std::io;
use std::sync::atomic::Ordering;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch::Receiver;

use super::State;
use super::fault::{Direction, Fault};
use super::link::Link;

/// How a direction has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The sender has closed it, and the receiver knows.
    Close,
    /// Both directions end now.
    Cut,
    /// Both directions end now, with an error for both ends.
    Reset,
}

/// One direction of a connection.
pub(super) struct Pump<'a> {
    direction: Direction,
    link: &'a Link,
    state: &'a State,
    fault: Receiver<Fault>,
}

impl<'a> Pump<'a> {
    pub(super) fn new(direction: Direction, link: &'a Link, state: &'a State) -> Self {
        Self { direction, link, state, fault: link.watch(direction) }
    }

    /// Forwards until one of the two ends has enough.
    pub(super) async fn run(mut self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> End {
        let mut buffer = vec![0; 16 << 10];
        loop {
            // Who sends has crashed; who receives hears of it.
            let Ok(read) = from.read(&mut buffer).await else { return End::Reset };
            if read == 0 {
                return self.close(&mut to).await;
            }
            match self.pass(&buffer[..read], &mut to).await {
                Ok(None) => {}
                Ok(Some(end)) => return end,
                Err(_) => return End::Cut,
            }
        }
    }

    /// Passes the end of the stream on, as soon as that is allowed.
    async fn close(&mut self, to: &mut WriteHalf<'_>) -> End {
        let goes = |fault: &Fault| !matches!(fault, Fault::Stall | Fault::Swallow);
        drop(self.fault.wait_for(goes).await);
        drop(to.shutdown().await);
        End::Close
    }

    /// Passes bytes on, as far as that is allowed.
    async fn pass(&mut self, mut bytes: &[u8], to: &mut WriteHalf<'_>) -> io::Result<Option<End>> {
        if let Some(fault) = self.state.sprung(self.direction, bytes) {
            self.link.set(self.direction, fault);
        }
        while !bytes.is_empty() {
            let fault = self.fault.borrow_and_update().clone();
            let follow = |next| self.link.follow(self.direction, &fault, next);
            match fault {
                Fault::None => bytes = self.write(to, bytes, bytes.len()).await?,
                Fault::Delay(by) => {
                    tokio::time::sleep(by).await;
                    bytes = self.write(to, bytes, bytes.len()).await?;
                }
                Fault::Slow(size, pause) => {
                    bytes = self.write(to, bytes, size).await?;
                    tokio::time::sleep(pause).await;
                }
                Fault::Stall => drop(self.fault.changed().await),
                Fault::Swallow => return Ok(None),
                Fault::Garbage(ref garbage) => {
                    self.write(to, garbage, garbage.len()).await?;
                    follow(Fault::None);
                }
                Fault::CutAfter(left) | Fault::ResetAfter(left) => {
                    let all = bytes.len();
                    let size = usize::try_from(left).unwrap_or(all);
                    bytes = self.write(to, bytes, size).await?;
                    let left = left - (all - bytes.len()) as u64;
                    let is_reset = matches!(fault, Fault::ResetAfter(_));
                    match (left, is_reset) {
                        (0, false) => return Ok(Some(End::Cut)),
                        (0, true) => return Ok(Some(End::Reset)),
                        (left, false) => follow(Fault::CutAfter(left)),
                        (left, true) => follow(Fault::ResetAfter(left)),
                    }
                }
                Fault::CutReply => {
                    self.link.set(Direction::Reply, Fault::CutAfter(0));
                    follow(Fault::None);
                }
            }
        }
        Ok(None)
    }

    /// Writes at most so many bytes and returns the rest.
    async fn write<'b>(
        &self,
        to: &mut WriteHalf<'_>,
        bytes: &'b [u8],
        size: usize,
    ) -> io::Result<&'b [u8]> {
        let (now, rest) = bytes.split_at(size.min(bytes.len()));
        to.write_all(now).await?;
        self.state.bytes[self.direction as usize].fetch_add(now.len() as u64, Ordering::SeqCst);
        Ok(rest)
    }
}
