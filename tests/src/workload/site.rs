//! An application over HTTP, in several processes, as its visitors see it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderValue, Method, Request, StatusCode};
use serde_json::Value;
use session_core::{Error, ErrorKind, Operation, Result, SessionId, SessionLocker};

use super::subject::{Held, Life, Manner, Subject};
use crate::history::Data;
use crate::{Client, Jar, NoReply, Place};

const COOKIE_NAME: &str = "sid";
const PLACE: Place<'static> = Place { https: false, host: "127.0.0.1", path: "/" };

/// The probe application in several processes. Each request goes to one of them,
/// drawn by a seed. Clones are the same.
#[derive(Clone, Debug)]
pub struct Site {
    client: Client,
    deadline: Duration,
    processes: Arc<Mutex<Processes>>,
}

#[derive(Debug)]
struct Processes {
    addresses: Vec<SocketAddr>,
    random: fastrand::Rng,
}

impl Site {
    /// Makes a site of processes that listen at these addresses. A visitor waits
    /// no longer than `deadline` for an answer.
    #[must_use]
    pub fn new(addresses: Vec<SocketAddr>, seed: u64, deadline: Duration) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        let processes = Arc::new(Mutex::new(Processes { addresses, random }));
        Self { client: Client::default(), deadline, processes }
    }

    /// Puts another process in the place of one.
    pub fn replace(&self, at: usize, address: SocketAddr) {
        self.processes().addresses[at] = address;
    }

    /// Tells one of the processes something that is not a visitor's business.
    ///
    /// # Errors
    ///
    /// If it does not do so.
    pub async fn control(&self, at: usize, uri: &str) -> Result<()> {
        let address = self.processes().addresses[at];
        self.send_to(address, Operation::Configure, Method::POST, uri, &mut Jar::default())
            .await
            .map(drop)
    }

    fn processes(&self) -> MutexGuard<'_, Processes> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn draw(&self) -> SocketAddr {
        let Processes { addresses, random } = &mut *self.processes();
        addresses[random.usize(..addresses.len())]
    }

    async fn get(&self, operation: Operation, uri: &str, jar: &mut Jar) -> Result<Value> {
        self.send_to(self.draw(), operation, Method::GET, uri, jar).await
    }

    async fn post(&self, operation: Operation, uri: &str, jar: &mut Jar) -> Result<Value> {
        self.send_to(self.draw(), operation, Method::POST, uri, jar).await
    }

    /// Sends a request with the cookies of a jar, and says of a failure only what
    /// a visitor can know: who has no answer, or one that the server is in
    /// trouble, does not know whether anything was done.
    async fn send_to(
        &self,
        address: SocketAddr,
        operation: Operation,
        method: Method,
        uri: &str,
        jar: &mut Jar,
    ) -> Result<Value> {
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = method;
        *request.uri_mut() = uri.parse().expect("a URI");
        if let Some(cookies) = jar.header(PLACE, SystemTime::now()) {
            let cookies = HeaderValue::try_from(cookies).expect("a field value");
            request.headers_mut().insert(COOKIE, cookies);
        }
        let failed = |kind, message| Error::new(kind, operation, message);
        let unknown = |kind, message| failed(kind, message).with_indeterminate(true);
        let reply =
            match tokio::time::timeout(self.deadline, self.client.send(address, request)).await {
                Ok(Ok(reply)) => reply,
                Ok(Err(NoReply::Refused(_))) => {
                    return Err(failed(ErrorKind::Unavailable, "nobody listens"));
                }
                Ok(Err(NoReply::Lost(_))) => {
                    return Err(unknown(ErrorKind::Unavailable, "there was no answer"));
                }
                Err(_) => return Err(unknown(ErrorKind::Timeout, "there was no answer in time")),
            };
        for field in reply.headers.get_all(SET_COOKIE) {
            jar.take(field.to_str().unwrap_or_default(), PLACE, SystemTime::now());
        }
        match reply.status {
            StatusCode::OK => Ok(reply.json()),
            StatusCode::GONE => Err(failed(ErrorKind::Gone, "the session is over")),
            status if status.is_client_error() && status != StatusCode::CONFLICT => {
                Err(failed(ErrorKind::Internal, "the request was refused"))
            }
            _ => Err(unknown(ErrorKind::Unavailable, "the server is in trouble")),
        }
    }
}

/// Does operations as in `put:a:1,incr:n`, for a session that is there. What
/// the session held as `tag` comes first; without it the request has begun a
/// session of its own, which nobody uses.
fn only_if_there(ops: &str) -> String {
    format!("/do?ops=peek:tag,{ops}")
}

/// Returns a jar with a session cookie.
fn jar_with(id: &str) -> Jar {
    let mut jar = Jar::default();
    jar.take(&format!("{COOKIE_NAME}={id}; Path=/"), PLACE, SystemTime::now());
    jar
}

fn id_in(jar: &Jar) -> Option<SessionId> {
    SessionId::parse(jar.value(COOKIE_NAME)?).ok()
}

/// Reads a number that was stored as one, or as text.
fn number(value: &Value) -> u64 {
    let text = || value.as_str().and_then(|text| text.parse().ok());
    value.as_u64().or_else(text).unwrap_or(0)
}

fn gone(operation: Operation) -> Error {
    Error::new(ErrorKind::Gone, operation, "there is no session by this cookie")
}

#[async_trait]
impl Subject for Site {
    fn has_store(&self) -> bool {
        false
    }

    async fn create(&self, tag: u64, _: Life) -> Result<SessionId> {
        let mut jar = Jar::default();
        let uri = format!("/do?ops=put:tag:{tag},incr:writes");
        self.post(Operation::Create, &uri, &mut jar).await?;
        id_in(&jar).ok_or_else(|| {
            let message = "there was no cookie";
            Error::new(ErrorKind::Internal, Operation::Create, message).with_indeterminate(true)
        })
    }

    async fn load(&self, id: &SessionId, _: Manner) -> Result<Option<Box<dyn Held>>> {
        let mut jar = jar_with(id.expose());
        let page = self.get(Operation::Read, "/peek?k=tag", &mut jar).await?;
        if page["status"] != "loaded" {
            return Ok(None);
        }
        let all = &page["all"];
        let names = page["keys"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let items = names.filter_map(|name| name.strip_prefix("item.")?.parse().ok());
        let mut items: Vec<_> = items.collect();
        items.sort_unstable();
        let data = Data {
            tag: number(&all["tag"]),
            writes: number(&all["writes"]),
            value: 0,
            items,
            counter: number(&all["counter"]),
        };
        Ok(Some(Box::new(Visit { site: self.clone(), jar, data })))
    }

    async fn logout(&self, id: &SessionId) -> Result<()> {
        let mut jar = jar_with(id.expose());
        self.post(Operation::Destroy, "/destroy", &mut jar).await.map(drop)
    }

    async fn look(&self, _: &SessionId) -> Result<Option<Option<Duration>>> {
        Err(unsupported(Operation::Read))
    }

    async fn present(&self, text: &str) -> Result<Option<Data>> {
        // A blank at its end is no part of a cookie.
        let text = text.replace(' ', "%20");
        let mut jar = jar_with(&text);
        let uri = only_if_there("incr:writes");
        let answer = self.post(Operation::Write, &uri, &mut jar).await?;
        let found = &answer["out"][0];
        // Who comes with an id that nobody gave him gets another.
        let adopted = jar.value(COOKIE_NAME) == Some(&text);
        let let_in = !found.is_null() || adopted;
        Ok(let_in.then(|| Data { tag: number(found), ..Data::default() }))
    }

    async fn collect(&self) -> Result<()> {
        self.post(Operation::Gc, "/ctl/gc", &mut Jar::default()).await.map(drop)
    }

    fn locker(&self) -> Option<&dyn SessionLocker> {
        None
    }
}

fn unsupported(operation: Operation) -> Error {
    Error::new(ErrorKind::Unsupported, operation, "no visitor can do that")
}

/// What a visitor has seen: his cookies, and the data on the page.
#[derive(Debug)]
struct Visit {
    site: Site,
    jar: Jar,
    data: Data,
}

impl Visit {
    /// Does operations if the session is there, and returns their results.
    async fn act(&mut self, operation: Operation, ops: &str) -> Result<Value> {
        let answer = self.site.post(operation, &only_if_there(ops), &mut self.jar).await?;
        let tag = &answer["out"][0];
        if tag.is_null() {
            return Err(gone(operation));
        }
        self.data.tag = number(tag);
        Ok(answer)
    }
}

#[async_trait]
impl Held for Visit {
    fn id(&self) -> Option<SessionId> {
        id_in(&self.jar)
    }

    fn data(&self) -> Data {
        self.data.clone()
    }

    async fn save(&mut self, _: u64) -> Result<()> {
        Err(unsupported(Operation::Write))
    }

    async fn merge(&mut self, item: u64) -> Result<()> {
        let ops = format!("put:item.{item}:1,incr:writes");
        self.act(Operation::Write, &ops).await.map(drop)
    }

    async fn increment(&mut self) -> Result<()> {
        self.act(Operation::Write, "incr:counter,incr:writes").await.map(drop)
    }

    async fn touch(&mut self) -> Result<bool> {
        let answer = self.act(Operation::Touch, "touch").await?;
        Ok(answer["out"][1] == true)
    }

    async fn regenerate(&mut self) -> Result<()> {
        self.act(Operation::Write, "incr:writes,rotate").await.map(drop)
    }

    async fn destroy(&mut self) -> Result<()> {
        self.site.post(Operation::Destroy, "/destroy", &mut self.jar).await.map(drop)
    }

    async fn again(&mut self) -> Option<Result<()>> {
        None
    }
}
