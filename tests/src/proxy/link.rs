//! One connection through the proxy.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::watch::{Receiver, Sender, channel};

use super::State;
use super::fault::{Direction, Fault, Faults};
use super::pump::{End, Pump};

/// How a connection is told what to do.
#[derive(Clone, Debug)]
pub(super) struct Link {
    faults: [Sender<Fault>; 2],
    cut: Sender<bool>,
}

impl Link {
    pub(super) fn new(faults: &Faults) -> Self {
        let fault = |direction| channel(faults.get(direction)).0;
        let faults = [fault(Direction::Request), fault(Direction::Reply)];
        Self { faults, cut: channel(false).0 }
    }

    pub(super) fn set(&self, direction: Direction, fault: Fault) {
        self.faults[direction as usize].send_replace(fault);
    }

    /// Sets what follows from a fault, unless the test has set something else meanwhile.
    pub(super) fn follow(&self, direction: Direction, fault: &Fault, next: Fault) {
        self.faults[direction as usize].send_if_modified(|current| {
            let is_same = current == fault;
            if is_same {
                *current = next;
            }
            is_same
        });
    }

    pub(super) fn watch(&self, direction: Direction) -> Receiver<Fault> {
        self.faults[direction as usize].subscribe()
    }

    pub(super) fn cut(&self) {
        self.cut.send_replace(true);
    }
}

/// Forwards a connection until it ends.
pub(super) async fn run(
    client: TcpStream,
    target: SocketAddr,
    number: u64,
    link: Link,
    state: Arc<State>,
) {
    let mut cut = link.cut.subscribe();
    tokio::select! {
        // Both ends close when the streams are dropped here.
        _ = cut.wait_for(|cut| *cut) => {}
        () = forward(client, target, &link, &state) => {}
    }
    state.lock().links.remove(&number);
}

async fn forward(mut client: TcpStream, target: SocketAddr, link: &Link, state: &State) {
    // A client of a server that is not there sees its connection end.
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    drop((client.set_nodelay(true), server.set_nodelay(true)));
    let end = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let request = Pump::new(Direction::Request, link, state).run(from_client, to_server);
        let reply = Pump::new(Direction::Reply, link, state).run(from_server, to_client);
        tokio::pin!(request, reply);
        tokio::select! {
            end = &mut request => if end == End::Close { reply.await } else { end },
            end = &mut reply => if end == End::Close { request.await } else { end },
        }
    };
    if end == End::Reset {
        drop((client.set_zero_linger(), server.set_zero_linger()));
    }
}
