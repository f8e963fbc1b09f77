//! A client with a cookie jar.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{COOKIE, HOST, SET_COOKIE};
use http::{HeaderValue, Method, Request};

use crate::{Client, Jar, Place, Reply};

/// A client with a cookie jar. Clones share the jar, as tabs do.
///
/// Its requests go to the servers in turn, as behind a load balancer.
#[derive(Clone, Debug)]
pub struct JarClient {
    client: Client,
    servers: Vec<SocketAddr>,
    turn: Arc<AtomicUsize>,
    jar: Arc<Mutex<Jar>>,
    host: String,
    https: bool,
    headers: Vec<(&'static str, String)>,
    /// Milliseconds by which its clock is ahead.
    ahead: Arc<AtomicU64>,
}

impl JarClient {
    /// Makes a client with an empty jar. `ahead` are the milliseconds by which
    /// its clock is ahead of the system's.
    #[must_use]
    pub fn new(client: Client, servers: Vec<SocketAddr>, ahead: Arc<AtomicU64>) -> Self {
        Self {
            client,
            servers,
            turn: Arc::default(),
            jar: Arc::default(),
            host: "127.0.0.1".into(),
            https: false,
            headers: Vec::new(),
            ahead,
        }
    }

    /// Treats connections as secure, as behind a proxy that speaks TLS.
    #[must_use]
    pub fn over_https(mut self) -> Self {
        self.https = true;
        self
    }

    /// Speaks to a host of this name.
    #[must_use]
    pub fn to_host(mut self, host: &str) -> Self {
        host.clone_into(&mut self.host);
        self
    }

    /// Sends a header with every request. A `cookie` goes in front of the jar's.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Speaks to one of the servers only; shares the jar.
    #[must_use]
    pub fn on(&self, server: usize) -> Self {
        Self { servers: vec![self.servers[server]], ..self.clone() }
    }

    /// Copies the jar as it is now, to replay its cookies later.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self { jar: Arc::new(Mutex::new(self.jar().clone())), ..self.clone() }
    }

    /// Returns the jar.
    pub fn jar(&self) -> MutexGuard<'_, Jar> {
        self.jar.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the value of the session cookie under the probe's default name.
    #[must_use]
    pub fn sid(&self) -> Option<String> {
        self.jar().value("sid").map(str::to_owned)
    }

    /// Sends GET.
    ///
    /// # Panics
    ///
    /// If there is no response.
    pub async fn get(&self, uri: &str) -> Reply {
        self.send(Method::GET, uri).await
    }

    /// Sends POST without a body.
    ///
    /// # Panics
    ///
    /// If there is no response.
    pub async fn post(&self, uri: &str) -> Reply {
        self.send(Method::POST, uri).await
    }

    /// Sends a request without a body, and takes the cookies of the response.
    ///
    /// # Panics
    ///
    /// If there is no response.
    pub async fn send(&self, method: Method, uri: &str) -> Reply {
        let to = self.next_server();
        let request = self.request(method, uri);
        let reply = self.client.send(to, request).await;
        let reply = reply.unwrap_or_else(|err| panic!("{uri}: no response: {err}"));
        self.take_cookies(uri, &reply.headers);
        reply
    }

    /// Returns the server that the next request goes to.
    #[must_use]
    pub fn next_server(&self) -> SocketAddr {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.servers[turn % self.servers.len()]
    }

    /// Makes a request with the cookies of the jar.
    ///
    /// # Panics
    ///
    /// If the URI is none.
    #[must_use]
    pub fn request(&self, method: Method, uri: &str) -> Request<Bytes> {
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = method;
        *request.uri_mut() = uri.parse().unwrap_or_else(|err| panic!("{uri}: {err}"));
        let jar = self.jar().header(self.place(request.uri().path()), self.now());
        let headers = request.headers_mut();
        let value = |text: &str| HeaderValue::from_bytes(text.as_bytes()).expect("a field value");
        headers.insert(HOST, value(&self.host));
        for (name, text) in &self.headers {
            headers.append(*name, value(text));
        }
        if let Some(cookies) = jar {
            headers.append(COOKIE, value(&cookies));
        }
        request
    }

    /// Takes the cookies of a response.
    pub fn take_cookies(&self, uri: &str, headers: &http::HeaderMap) {
        let path = uri.split('?').next().unwrap_or_default();
        for field in headers.get_all(SET_COOKIE) {
            if let Ok(field) = field.to_str() {
                self.jar().take(field, self.place(path), self.now());
            }
        }
    }

    fn place<'a>(&'a self, path: &'a str) -> Place<'a> {
        Place { https: self.https, host: &self.host, path }
    }

    fn now(&self) -> SystemTime {
        SystemTime::now() + Duration::from_millis(self.ahead.load(Ordering::SeqCst))
    }
}
