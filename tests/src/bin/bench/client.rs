//! A client that costs little: prepared requests over a connection that stays open.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Failure;
use crate::contender::Operation;

pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// A request that can be sent again and again.
#[derive(Clone)]
pub(crate) struct Prepared(Vec<u8>);

impl Prepared {
    fn get(path: &str, cookie: Option<&str>) -> Self {
        let cookie = cookie.map_or_else(String::new, |cookie| format!("cookie: {cookie}\r\n"));
        Self(format!("GET {path} HTTP/1.1\r\nhost: bench\r\n{cookie}\r\n").into())
    }
}

impl Client {
    pub(crate) async fn connect(addr: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; 16 << 10] })
    }

    /// Gets the session that an operation needs, and returns the request that asks for it.
    pub(crate) async fn prepare(&mut self, operation: Operation) -> Result<Prepared, Failure> {
        let cookie = match operation.preparation() {
            Some(path) => {
                let head = self.send(&Prepared::get(path, None)).await?.0;
                // A server without sessions gets a cookie that it ignores.
                Some(cookie(head).unwrap_or_else(|| format!("sid={}", "a".repeat(32))))
            }
            None => None,
        };
        Ok(Prepared::get(&format!("/{}", operation.name()), cookie.as_deref()))
    }

    /// Returns the body of a page.
    pub(crate) async fn get(&mut self, path: &str) -> Result<String, Failure> {
        let (head, body) = self.send(&Prepared::get(path, None)).await?;
        if !head.starts_with("HTTP/1.1 200") {
            return Err(format!("{path}: {}", head.lines().next().unwrap_or_default()).into());
        }
        Ok(body.to_owned())
    }

    /// Sends a request that must succeed.
    pub(crate) async fn ask(&mut self, request: &Prepared) -> Result<(), Failure> {
        let (head, _) = self.send(request).await?;
        match head.starts_with("HTTP/1.1 200") {
            true => Ok(()),
            false => Err(format!("the server answered {head}").into()),
        }
    }

    /// Sends a request and returns the response's head and body.
    async fn send(&mut self, request: &Prepared) -> Result<(&str, &str), Failure> {
        self.stream.write_all(&request.0).await?;
        let mut filled = 0;
        loop {
            let count = self.stream.read(&mut self.buffer[filled..]).await?;
            if count == 0 {
                return Err("the server closed the connection, or its response is too long".into());
            }
            filled += count;
            let response = &self.buffer[..filled];
            let Some(end) = response.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
                continue;
            };
            let head = std::str::from_utf8(&response[..end])?;
            let length: usize = fields(head, "content-length").next().unwrap_or("0").parse()?;
            if filled < end + 4 + length {
                continue;
            }
            // Once more, because the borrow checker does not see that the loop ends here.
            let head = std::str::from_utf8(&self.buffer[..end])?;
            let body = std::str::from_utf8(&self.buffer[end + 4..][..length])?;
            return Ok((head, body));
        }
    }
}

fn fields<'a>(head: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let fields = head.lines().filter_map(|line| line.split_once(": "));
    fields.filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Returns the cookie that a response sets, as a client sends it back. One without a
/// value is one that the server takes away.
fn cookie(head: &str) -> Option<String> {
    let mut cookies = fields(head, "set-cookie").filter_map(|cookie| cookie.split(';').next());
    cookies.find(|cookie| !cookie.ends_with('=')).map(str::to_owned)
}
