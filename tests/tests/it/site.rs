//! The probe application in one or several processes on one store.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Map, Value};
use session_tests::{Client, JarClient, Probe, Reply};

use crate::home::Home;
use crate::target::Target;

const PROBE: &str = env!("CARGO_BIN_EXE_probe");

/// The probe application in one or several processes on one store.
pub(crate) struct Site {
    nodes: Vec<Probe>,
    client: Client,
    /// Milliseconds by which the clocks are ahead.
    ahead: Arc<AtomicU64>,
    dead: Vec<usize>,
    /// Goes last, when no process uses it.
    home: Home,
}

/// Calls to the stores since the last time they were asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ops {
    pub(crate) reads: u64,
    pub(crate) creates: u64,
    pub(crate) updates: u64,
    pub(crate) touches: u64,
    pub(crate) deletes: u64,
    pub(crate) conflicts: u64,
    pub(crate) bytes: u64,
}

impl Target {
    /// Starts the processes of a site.
    pub(crate) fn start(self, args: &str) -> Site {
        self.start_in(self.home(), args)
    }

    /// Starts a site whose clocks are moved by [`Site::advance`] alone.
    pub(crate) fn start_with_clock(self, args: &str) -> Site {
        self.start_in(self.home_with_clock(), &format!("--clock virtual {args}"))
    }

    fn start_in(self, home: Home, args: &str) -> Site {
        let nodes = (0..self.processes).map(|_| run(&home.uri(), args)).collect();
        let (ahead, dead) = (Arc::default(), Vec::new());
        Site { nodes, client: Client::default(), ahead, dead, home }
    }
}

/// Runs the probe in the hope that it exits, and returns its code and what it says.
pub(crate) fn refused(args: &[&str]) -> (i32, String) {
    let (status, text) = Probe::start(PROBE, args).map(drop).unwrap_err();
    (status.code().unwrap(), text)
}

fn run(uri: &str, args: &str) -> Probe {
    // A machine that pauses is not what most tests are about; those say another deadline.
    let patient = ["--store", uri, "--deadline", "30000"];
    let args: Vec<_> = patient.into_iter().chain(args.split_whitespace()).collect();
    Probe::start(PROBE, &args).unwrap_or_else(|(status, text)| panic!("{status}: {text}"))
}

impl Site {
    /// Makes a visitor whose requests go to all processes in turn.
    pub(crate) fn visitor(&self) -> JarClient {
        let servers = self.nodes.iter().map(Probe::address).collect();
        JarClient::new(self.client.clone(), servers, Arc::clone(&self.ahead))
    }

    /// Makes a visitor that has a cookie of this value.
    pub(crate) fn visitor_with(&self, value: &str) -> JarClient {
        self.visitor().with_header("cookie", format!("sid={value}"))
    }

    /// Returns the directory that the file engine uses.
    pub(crate) fn directory(&self) -> PathBuf {
        self.home.directory()
    }

    /// Ends a process as `kill -9` does.
    pub(crate) fn kill(&mut self, node: usize) {
        self.nodes[node].kill();
        self.dead.push(node);
    }

    /// Speaks to all processes that run.
    async fn all(&self, post: bool, uri: &str) -> Vec<Reply> {
        let mut replies = Vec::new();
        for node in (0..self.nodes.len()).filter(|node| !self.dead.contains(node)) {
            let visitor = self.visitor().on(node);
            let reply = if post { visitor.post(uri).await } else { visitor.get(uri).await };
            reply.ok();
            replies.push(reply);
        }
        replies
    }

    /// Lets time pass, for the store, the processes and the visitors. On MongoDB
    /// the time of the machine passes besides.
    pub(crate) async fn advance(&self, by: Duration) {
        self.home.advance(by).await;
        self.ahead.fetch_add(u64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
        self.all(true, &format!("/ctl/clock?ms={}", by.as_millis())).await;
        if self.home.connections_end() {
            // The processes find out by a question that may be asked twice. A fault in
            // front of the store keeps it from them.
            for node in (0..self.nodes.len()).filter(|node| !self.dead.contains(node)) {
                self.visitor().on(node).get("/ctl/count").await;
            }
        }
    }

    /// Lets time pass for one process only.
    pub(crate) async fn advance_node(&self, node: usize, by: Duration) {
        let uri = format!("/ctl/clock?ms={}", by.as_millis());
        self.visitor().on(node).post(&uri).await.ok();
    }

    /// Puts a fault in front of the store.
    pub(crate) async fn fault(&self, mode: &str) {
        self.all(true, &format!("/ctl/store?mode={mode}")).await;
    }

    /// Opens a barrier.
    pub(crate) async fn release(&self, barrier: &str) {
        self.all(true, &format!("/ctl/release?b={barrier}")).await;
    }

    /// Waits until so many requests have loaded their session and wait at a barrier.
    pub(crate) async fn held(&self, barrier: &str, count: u64) {
        let uri = format!("/ctl/waiting?b={barrier}");
        let waiting = async {
            loop {
                let replies = self.all(false, &uri).await;
                let waiting = replies.iter().map(|reply| reply.get("waiting").as_u64().unwrap());
                if waiting.sum::<u64>() >= count {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        let limit = Duration::from_secs(90);
        tokio::time::timeout(limit, waiting).await.expect("the requests never came to the barrier");
    }

    pub(crate) async fn ops(&self) -> Ops {
        let mut ops = Ops::default();
        for reply in self.all(false, "/ctl/ops").await {
            let field = |name| reply.get(name).as_u64().unwrap();
            ops.reads += field("reads");
            ops.creates += field("creates");
            ops.updates += field("updates");
            ops.touches += field("touches");
            ops.deletes += field("deletes");
            ops.conflicts += field("conflicts");
            ops.bytes += field("bytes");
        }
        ops
    }

    /// Returns how many errors no request got to see, and how many records did
    /// not verify, since the last call.
    pub(crate) async fn events(&self) -> (u64, u64) {
        let replies = self.all(false, "/ctl/events").await;
        let sum = |name| replies.iter().map(|reply| reply.get(name).as_u64().unwrap()).sum();
        (sum("unseen"), sum("damaged"))
    }

    pub(crate) async fn count(&self) -> u64 {
        self.visitor().get("/ctl/count").await.get("count").as_u64().unwrap()
    }

    pub(crate) async fn list(&self, query: &str) -> Vec<Value> {
        let items = self.visitor().get(&format!("/ctl/list?{query}")).await.get("items");
        items.as_array().unwrap().clone()
    }

    /// Returns what is left of the only session's lifetime, in seconds.
    pub(crate) async fn expires_in(&self) -> f64 {
        let list = self.list("").await;
        assert_eq!(list.len(), 1);
        list[0]["expires_in"].as_f64().unwrap()
    }

    pub(crate) async fn raw(&self) -> Map<String, Value> {
        let raw = self.visitor().get("/ctl/raw").await;
        raw.ok().json().as_object().unwrap().clone()
    }

    pub(crate) async fn gc(&self) -> u64 {
        self.visitor().post("/ctl/gc").await.get("removed").as_u64().unwrap()
    }

    /// Ends all sessions behind the application.
    pub(crate) async fn empty(&self) {
        self.visitor().post("/ctl/revoke?all").await.ok();
    }
}

/// A site with one visitor that has a session with `foo=bar`.
pub(crate) struct Visit {
    site: Site,
    /// The visitor.
    pub(crate) a: JarClient,
}

impl Deref for Visit {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

impl Site {
    /// Lets a visitor come with a session, and forgets what that cost.
    pub(crate) async fn visited(self) -> Visit {
        let a = self.visitor();
        a.post("/put?k=foo&v=bar").await.ok();
        self.ops().await;
        Visit { site: self, a }
    }
}
