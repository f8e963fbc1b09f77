//! A small HTTP/1.1 client that keeps its connections.

use std::collections::HashMap;
use std::fmt;
use std::io;
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

/// Why there is no response.
#[derive(Debug)]
pub enum NoReply {
    /// Nobody listens. The request was not sent.
    Refused(io::Error),
    /// The connection failed or ended too early. The request may have been heard.
    Lost(hyper::Error),
}

impl fmt::Display for NoReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(err) => write!(f, "nobody listens: {err}"),
            Self::Lost(err) => err.fmt(f),
        }
    }
}

impl std::error::Error for NoReply {}

impl From<hyper::Error> for NoReply {
    fn from(err: hyper::Error) -> Self {
        Self::Lost(err)
    }
}

impl Client {
    /// Sends a request and reads the response to its end.
    ///
    /// # Errors
    ///
    /// If nobody listens, or the connection fails or ends too early.
    pub async fn send(&self, to: SocketAddr, request: Request<Bytes>) -> Result<Reply, NoReply> {
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
    /// If nobody listens, or the connection fails or ends too early.
    pub async fn send_alone(
        to: SocketAddr,
        request: Request<Bytes>,
    ) -> Result<Response<Incoming>, NoReply> {
        Ok(connect(to).await?.send_request(request.map(Full::new)).await?)
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

async fn connect(to: SocketAddr) -> Result<Connection, NoReply> {
    let stream = TcpStream::connect(to).await.map_err(NoReply::Refused)?;
    drop(stream.set_nodelay(true));
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Its errors show up in the requests.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}
