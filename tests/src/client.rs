//! A small HTTP/1.1 client that keeps its connections.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::Reply;

type Connection = SendRequest<Full<Bytes>>;

/// A small HTTP/1.1 client that keeps its connections. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Client(Arc<Mutex<HashMap<SocketAddr, Vec<Connection>>>>);

impl Client {
    /// Sends a request and reads the response to its end.
    ///
    /// # Errors
    ///
    /// If the connection fails or ends too early.
    pub async fn send(&self, to: SocketAddr, request: Request<Bytes>) -> hyper::Result<Reply> {
        let mut connection = match self.idle(to).await {
            Some(connection) => connection,
            None => connect(to).await?,
        };
        let response = connection.send_request(request.map(Full::new)).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        self.lock().entry(to).or_default().push(connection);
        Ok(Reply { status: head.status, headers: head.headers, body })
    }

    /// Sends a request on a connection of its own and returns as soon as the
    /// headers are there. Dropping the body ends the connection.
    ///
    /// # Errors
    ///
    /// If the connection fails or ends too early.
    pub async fn send_alone(
        to: SocketAddr,
        request: Request<Bytes>,
    ) -> hyper::Result<Response<Incoming>> {
        connect(to).await?.send_request(request.map(Full::new)).await
    }

    async fn idle(&self, to: SocketAddr) -> Option<Connection> {
        loop {
            let mut connection = self.lock().get_mut(&to)?.pop()?;
            if connection.ready().await.is_ok() {
                return Some(connection);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SocketAddr, Vec<Connection>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn connect(to: SocketAddr) -> hyper::Result<Connection> {
    let stream =
        TcpStream::connect(to).await.unwrap_or_else(|err| panic!("nobody listens at {to}: {err}"));
    drop(stream.set_nodelay(true));
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Its errors show up in the requests.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}
