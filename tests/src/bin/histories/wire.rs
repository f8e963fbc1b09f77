//! What happens on the way between the processes and the server.

use std::time::Duration;

use session_tests::proxy::{Direction, Fault, Proxy};
use session_tests::servers::{Result, Running};

/// The way to a server, which can be bad.
pub(crate) struct Wire {
    proxy: Proxy,
    /// Whether bytes are lost or wrong: connections cannot go on.
    spoilt: bool,
}

impl Wire {
    /// Lays a wire to a server that has one address.
    pub(crate) async fn to(server: &Running) -> Result<Self> {
        let address = match server {
            Running::Redis(server) => server.address(),
            Running::Sql(server) => server.address(),
            Running::Mongo(server) => server.address(),
            _ => return Err("servers of several nodes have no one wire".into()),
        };
        Ok(Self { proxy: Proxy::start(address).await?, spoilt: false })
    }

    /// Returns the URI of the server at this end of the wire.
    pub(crate) fn url(&self, of_server: &str) -> String {
        self.proxy.url(of_server)
    }

    /// Breaks it in one of the ways in which wires break.
    pub(crate) async fn fault(&mut self, random: &mut fastrand::Rng) {
        let both = |fault: &Fault| {
            self.proxy.set(Direction::Request, fault.clone());
            self.proxy.set(Direction::Reply, fault.clone());
        };
        let direction = random.choice([Direction::Request, Direction::Reply]);
        let direction = direction.unwrap_or(Direction::Reply);
        self.spoilt = false;
        match random.u8(..9) {
            0 => self.proxy.cut(),
            1 => {
                self.proxy.refuse().await;
                self.proxy.cut();
            }
            2 => both(&Fault::Delay(Duration::from_millis(random.u64(1..50)))),
            3 => both(&Fault::Slow(random.usize(1..20), Duration::from_millis(1))),
            4 => both(&Fault::Stall),
            5 => self.proxy.set(direction, Fault::CutAfter(random.u64(..300))),
            6 => self.proxy.set(Direction::Request, Fault::CutReply),
            // Half-open in one direction.
            7 => {
                self.proxy.set(direction, Fault::Swallow);
                self.spoilt = true;
            }
            // Begins as no protocol's answer does: what looked like one would be taken for it.
            _ => {
                let tail = (0..random.usize(..64)).map(|_| random.u8(..));
                let garbage = [0xff; 16].into_iter().chain(tail).collect();
                self.proxy.set(Direction::Reply, Fault::Garbage(garbage));
                self.spoilt = true;
            }
        }
    }

    /// Repairs it.
    pub(crate) async fn heal(&mut self) -> Result<()> {
        self.proxy.heal();
        if self.spoilt {
            self.proxy.cut();
        }
        Ok(self.proxy.accept().await?)
    }
}
