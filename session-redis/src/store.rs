//! What all parts of the handler share, and what it asks for without writing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use redis::{Cmd, Value};
use session_core::{
    Clock, ErrorKind, HandlerInfo, Operation, OsRandom, Random, Result, SessionKey, Stored,
    SystemClock, Version,
};

use crate::call::{Call, Repeat};
use crate::client::{Client, Place};
use crate::config::RedisConfig;
use crate::error::{self, Failure, NAME, Next};
use crate::keys::Keys;
use crate::record::{MAX_HEAD, Record};
use crate::scripts::Scripts;

/// What clones share.
pub(crate) struct Store {
    pub(crate) client: Arc<Client>,
    pub(crate) keys: Keys,
    pub(crate) scripts: Scripts,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) max_record_bytes: usize,
    pub(crate) info: HandlerInfo,
    /// The version that the next write gives.
    next_version: AtomicU64,
    /// Whether the server has no conditional `SET`.
    no_ifeq: AtomicBool,
}

impl Store {
    pub(crate) fn new(client: Client, keys: Keys, config: &RedisConfig) -> Result<Self> {
        let mut info = HandlerInfo::new(NAME);
        info.expires_natively = true;
        info.max_payload = Some(config.max_record_bytes);
        Ok(Self {
            client: Arc::new(client),
            keys,
            scripts: Scripts::new(),
            clock: Arc::new(SystemClock),
            max_record_bytes: config.max_record_bytes,
            info,
            next_version: AtomicU64::new(OsRandom.number()?),
            no_ifeq: AtomicBool::new(false),
        })
    }

    /// The same on the same connections, by another clock.
    pub(crate) fn with_clock(&self, clock: Arc<dyn Clock>) -> Self {
        Self {
            client: Arc::clone(&self.client),
            keys: self.keys.clone(),
            scripts: Scripts::new(),
            clock,
            max_record_bytes: self.max_record_bytes,
            info: self.info.clone(),
            next_version: AtomicU64::new(self.draw_version().rotate_left(32)),
            no_ifeq: AtomicBool::new(!self.has_ifeq()),
        }
    }

    /// Draws the version of a write: never 0, and never one that this or another
    /// process has given to the same record.
    pub(crate) fn draw_version(&self) -> u64 {
        // An odd step visits every number before it repeats one.
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        self.next_version.fetch_add(STEP, Ordering::Relaxed).max(1)
    }

    pub(crate) fn has_ifeq(&self) -> bool {
        !self.no_ifeq.load(Ordering::Relaxed)
    }

    pub(crate) fn without_ifeq(&self) {
        self.no_ifeq.store(true, Ordering::Relaxed);
    }

    pub(crate) async fn read(&self, key: &SessionKey) -> Result<Option<Stored>> {
        let call = self.client.begin(Operation::Read);
        let name = self.keys.session(key);
        let mut cmd = Cmd::with_capacity(2, name.len());
        cmd.arg("GET").arg(&name);
        let reply = call.ask(Place::Key(&name), &cmd, Repeat::Harmless).await;
        let bytes = match reply.map_err(|failure| failure.into_error(call.op))? {
            Value::Nil => return Ok(None),
            Value::BulkString(bytes) => Bytes::from(bytes),
            _ => return Err(error::unexpected().into_error(call.op)),
        };
        let record = Record::decode(call.op, bytes)?;
        let (header, payload) = (record.header, record.payload());
        let stored = Stored::new(payload, Version::hinted(header.version, record.into_bytes()));
        Ok(Some(match header.remaining(self.clock.now()) {
            Some(remaining) => stored.with_remaining(remaining),
            None => stored,
        }))
    }

    /// Reads the headers of some records. `None` for each that there is none of,
    /// and for what is not a session.
    pub(crate) async fn heads(
        &self,
        op: Operation,
        keys: &[SessionKey],
    ) -> Result<Vec<Option<Record>>> {
        let call = self.client.begin(op);
        let heads = keys.iter().map(|key| self.head(call, key));
        futures_util::future::join_all(heads).await.into_iter().collect()
    }

    async fn head(&self, call: Call<'_>, key: &SessionKey) -> Result<Option<Record>> {
        let name = self.keys.session(key);
        let mut cmd = Cmd::with_capacity(4, name.len());
        cmd.arg("GETRANGE").arg(&name).arg(0).arg(MAX_HEAD - 1);
        match call.ask(Place::Key(&name), &cmd, Repeat::Harmless).await {
            Ok(Value::BulkString(bytes)) => Ok(Record::decode(call.op, bytes.into()).ok()),
            Ok(_) => Err(error::unexpected().into_error(call.op)),
            Err(failure) if failure.kind == ErrorKind::Corrupt => Ok(None),
            Err(failure) => Err(failure.into_error(call.op)),
        }
    }

    /// Finds out what the server can do, and what of its settings endangers sessions.
    pub(crate) async fn open(&self) -> Result<()> {
        self.probe().await?;
        #[cfg(feature = "tracing")]
        for warning in self.warnings(Operation::Open).await? {
            tracing::warn!(target: "session", backend = NAME, "{warning}");
        }
        Ok(())
    }

    /// Finds out whether the server has a conditional `SET`, by one that can
    /// neither match a session nor make one.
    async fn probe(&self) -> Result<()> {
        let call = self.client.begin(Operation::Open);
        let name = self.keys.session(&SessionKey::from_bytes([0; 32]));
        let mut cmd = redis::cmd("SET");
        cmd.arg(&name).arg("").arg("IFEQ").arg("").arg("PX").arg(1);
        match call.ask(Place::Key(&name), &cmd, Repeat::Harmless).await {
            Ok(_) => Ok(()),
            Err(Failure { next: Next::Syntax, .. }) => {
                self.without_ifeq();
                Ok(())
            }
            Err(failure) => Err(failure.into_error(call.op)),
        }
    }

    pub(crate) async fn warnings(&self, op: Operation) -> Result<Vec<String>> {
        let call = self.client.begin(op);
        let mut cmd = redis::cmd("INFO");
        cmd.arg("memory");
        let slots = call.slots().await.map_err(failed(call))?;
        let mut warnings = Vec::new();
        for slot in slots {
            let text = match call.ask(Place::Slot(slot), &cmd, Repeat::Harmless).await {
                Ok(Value::BulkString(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
                Ok(Value::VerbatimString { text, .. }) => text,
                Ok(_) => continue,
                Err(failure) if failure.kind == ErrorKind::PermissionDenied => continue,
                Err(failure) => return Err(failure.into_error(op)),
            };
            warnings.extend(evicting(&text).filter(|warning| !warnings.contains(warning)));
        }
        Ok(warnings)
    }
}

/// Returns a warning if a server evicts what has a lifetime, as sessions have.
fn evicting(info: &str) -> Option<String> {
    let field = |name| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let policy = field("maxmemory_policy")?.trim();
    (policy != "noeviction").then(|| {
        format!(
            "maxmemory-policy is {policy}: at its memory limit the server removes sessions that \
             are alive, which logs users out; set it to noeviction"
        )
    })
}

/// Makes the error of a call.
pub(crate) fn failed(call: Call<'_>) -> impl Fn(Failure) -> session_core::Error {
    move |failure| failure.into_error(call.op)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_evicting_policy_is_a_warning() {
        let info = |policy| format!("# Memory\r\nused_memory:1\r\nmaxmemory_policy:{policy}\r\n");
        assert_eq!(evicting(&info("noeviction")), None);
        assert_eq!(evicting("# Memory\r\n"), None);
        for policy in ["volatile-lru", "allkeys-random"] {
            assert!(evicting(&info(policy)).unwrap().contains(policy));
        }
    }

    #[test]
    fn versions_do_not_repeat() {
        let config = RedisConfig::new("redis://h");
        let (location, keys) = config.checked().unwrap();
        let store = Store::new(Client::new(&config, &location).unwrap(), keys, &config).unwrap();
        let drawn: std::collections::HashSet<_> = (0..1000).map(|_| store.draw_version()).collect();
        assert_eq!(drawn.len(), 1000);
        assert!(!drawn.contains(&0));
    }
}
