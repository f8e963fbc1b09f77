//! Ports that nobody uses.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

/// Returns different ports that are free at this moment.
pub(super) fn free<const N: usize>() -> io::Result<[u16; N]> {
    let mut ports = [0; N];
    // All are held until all are known.
    let mut listeners = Vec::with_capacity(N);
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}
