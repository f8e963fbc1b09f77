//! Taking connections, or refusing them.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use super::{State, link};

/// Takes connections, or refuses them. Ends with its proxy.
#[derive(Debug)]
pub(super) struct Gate {
    /// Keeps the port while nobody listens on it.
    held: TcpSocket,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Gate {
    pub(super) async fn open(target: SocketAddr, state: Arc<State>) -> io::Result<Self> {
        let held = bound((Ipv4Addr::LOCALHOST, 0).into())?;
        let gate = Self { held, task: Mutex::default() };
        gate.reopen(target, state).await?;
        Ok(gate)
    }

    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.held.local_addr()
    }

    pub(super) async fn reopen(&self, target: SocketAddr, state: Arc<State>) -> io::Result<()> {
        let mut task = self.task.lock().await;
        if task.is_none() {
            let listener = bound(self.address()?)?.listen(1024)?;
            *task = Some(tokio::spawn(accept(listener, target, state)));
        }
        Ok(())
    }

    pub(super) async fn close(&self) {
        if let Some(task) = self.task.lock().await.take() {
            task.abort();
            // Then its listener is closed.
            drop(task.await);
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if let Some(task) = self.task.get_mut() {
            task.abort();
        }
    }
}

/// Binds a socket to an address that another of ours may have too.
fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket)
}

async fn accept(listener: TcpListener, target: SocketAddr, state: Arc<State>) {
    while let Ok((client, _)) = listener.accept().await {
        let number = state.accepted.fetch_add(1, Ordering::SeqCst);
        let link = state.link(number);
        // It ends when it is cut, and all are when the proxy ends.
        tokio::spawn(link::run(client, target, number, link, Arc::clone(&state)));
    }
}
