//! The handler: each call is one command, or one script.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use redis::{Cmd, Value};
use session_core::{
    Clock, ErrorKind, GcReport, GcRequest, HandlerInfo, Operation, OsRandom, Random, Result,
    SessionHandler, SessionIndex, SessionKey, SessionLister, SessionLocker, Stored, SystemClock,
    Version, WriteMode, WriteOptions,
};

use crate::client::{Call, Client, Place, Repeat};
use crate::config::RedisConfig;
use crate::error::{self, Failure, NAME, Next};
use crate::keys::Keys;
use crate::record::Record;
use crate::scripts::Scripts;

/// Keeps each session under a key of its own, in Redis or Valkey.
///
/// Any number of processes may share a prefix. All calls share one connection,
/// which is made when it is needed and made anew when it is lost. Needs a tokio
/// runtime with I/O and time. Clones share everything. Dropping a call that has
/// begun may or may not stop it: the session is in the old state or in the new one.
///
/// ```no_run
/// use std::time::Duration;
/// use session_core::{Bytes, SessionHandler, SessionKey, WriteMode, WriteOptions};
/// use session_redis::{RedisConfig, RedisHandler};
///
/// # async fn example() -> session_core::Result<()> {
/// let handler = RedisHandler::new(RedisConfig::new("redis://127.0.0.1:6379/1"))?;
/// handler.open().await?;
///
/// let key = SessionKey::from_bytes([7; 32]);
/// let options = WriteOptions::new(WriteMode::Create, Duration::from_secs(1440));
/// handler.write(&key, Bytes::from_static(b"data"), &options).await?;
/// assert!(handler.destroy(&key, None).await?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisHandler {
    pub(crate) store: Arc<Store>,
}

/// What clones share.
pub(crate) struct Store {
    pub(crate) client: Arc<Client>,
    pub(crate) keys: Keys,
    pub(crate) scripts: Scripts,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) max_record_bytes: usize,
    info: HandlerInfo,
    /// The version that the next write gives.
    next_version: AtomicU64,
    /// Whether the server has no conditional `SET`.
    no_ifeq: AtomicBool,
}

impl RedisHandler {
    /// Takes the settings and leaves the network alone: the connection is made by
    /// [`open`](SessionHandler::open), or else by the first call that needs it.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) for impossible settings and
    /// for certificates that cannot be read.
    #[expect(clippy::needless_pass_by_value, reason = "like the handlers of the other engines")]
    pub fn new(config: RedisConfig) -> Result<Self> {
        let (location, keys) = config.checked()?;
        let client = Client::new(&config, &location)?;
        Self::of(client, keys, &config)
    }

    /// The same, and connects.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new) and [`open`](SessionHandler::open).
    pub async fn connect(config: RedisConfig) -> Result<Self> {
        let handler = Self::new(config)?;
        handler.open().await?;
        Ok(handler)
    }

    /// Uses the client that an application has already, with its login and its
    /// certificates. What `config` says about the server must be left out.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) for impossible settings.
    #[expect(clippy::needless_pass_by_value, reason = "like the handlers of the other engines")]
    pub fn from_client(client: redis::Client, config: RedisConfig) -> Result<Self> {
        if config
            != (RedisConfig {
                url: None,
                host: None,
                port: None,
                user: None,
                auth: None,
                database: None,
                ..config.clone()
            })
        {
            let message =
                "the client knows the server; leave out url, host, port, user, auth and database";
            return Err(error::new(ErrorKind::InvalidConfig, Operation::Configure, message));
        }
        let (_, keys) = config.checked()?;
        let client = Client::from_driver(client, &config)?;
        Self::of(client, keys, &config)
    }

    fn of(client: Client, keys: Keys, config: &RedisConfig) -> Result<Self> {
        let mut seed = [0; 8];
        OsRandom.fill(&mut seed)?;
        let mut info = HandlerInfo::new(NAME);
        info.expires_natively = true;
        info.max_payload = Some(config.max_record_bytes);
        let store = Store {
            client: Arc::new(client),
            keys,
            scripts: Scripts::new(),
            clock: Arc::new(SystemClock),
            max_record_bytes: config.max_record_bytes,
            info,
            next_version: AtomicU64::new(u64::from_le_bytes(seed)),
            no_ifeq: AtomicBool::new(false),
        };
        Ok(Self { store: Arc::new(store) })
    }

    /// Sets the clock by which ages and idle times are told and remaining ones
    /// reckoned. It decides about no lifetime: the server's clock does. Clones
    /// keep theirs.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        let store = Store {
            client: Arc::clone(&self.store.client),
            keys: self.store.keys.clone(),
            scripts: Scripts::new(),
            clock,
            max_record_bytes: self.store.max_record_bytes,
            info: self.store.info.clone(),
            next_version: AtomicU64::new(self.store.draw_version().rotate_left(32)),
            no_ifeq: AtomicBool::new(!self.store.has_ifeq()),
        };
        Self { store: Arc::new(store) }
    }

    /// Looks at the server's settings and says what endangers sessions there:
    /// an eviction policy that removes sessions while they live. Empty if all is
    /// well, or if the server does not tell.
    ///
    /// [`open`](SessionHandler::open) does this too, and writes warnings to the
    /// log if the feature `tracing` is enabled.
    ///
    /// # Errors
    ///
    /// None for a server that refuses to tell; else those of any call.
    pub async fn warnings(&self) -> Result<Vec<String>> {
        self.store.warnings(Operation::Open).await
    }
}

impl Store {
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

    async fn read(&self, key: &SessionKey) -> Result<Option<Stored>> {
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

    async fn warnings(&self, op: Operation) -> Result<Vec<String>> {
        let call = self.client.begin(op);
        let mut cmd = redis::cmd("INFO");
        cmd.arg("memory");
        let slots = self.client.slots().await.map_err(|failure| failure.into_error(op))?;
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

#[async_trait]
impl SessionHandler for RedisHandler {
    fn info(&self) -> &HandlerInfo {
        &self.store.info
    }

    /// Connects, logs in, and finds out what the server can do.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable) if the server cannot be reached
    /// within the timeout, [`PermissionDenied`](ErrorKind::PermissionDenied) if
    /// it refuses the login or the keys.
    async fn open(&self) -> Result<()> {
        self.store.probe().await?;
        #[cfg(feature = "tracing")]
        for warning in self.store.warnings(Operation::Open).await? {
            tracing::warn!(target: "session", backend = NAME, "{warning}");
        }
        Ok(())
    }

    async fn read(&self, key: &SessionKey) -> Result<Option<Stored>> {
        self.store.read(key).await
    }

    async fn write(
        &self,
        key: &SessionKey,
        payload: Bytes,
        options: &WriteOptions,
    ) -> Result<Version> {
        let create = options.mode == WriteMode::Create;
        let op = if create { Operation::Create } else { Operation::Write };
        if payload.len() > self.store.max_record_bytes {
            let message = "the session is larger than max_record_bytes; store less, or raise it";
            return Err(error::new(ErrorKind::TooLarge, op, message));
        }
        self.store.write(op, key, &payload, options).await
    }

    async fn touch(&self, key: &SessionKey, idle: Duration) -> Result<bool> {
        self.store.touch(key, idle).await
    }

    async fn destroy(&self, key: &SessionKey, only_at: Option<&Version>) -> Result<bool> {
        self.store.destroy(key, only_at).await
    }

    /// Has nothing to do: the server removes what has expired.
    async fn gc(&self, _: &GcRequest) -> Result<GcReport> {
        Ok(GcReport::default())
    }

    /// Lets go of the connections. A later call makes new ones.
    async fn close(&self) -> Result<()> {
        self.store.client.close();
        Ok(())
    }

    fn locker(&self) -> Option<&dyn SessionLocker> {
        Some(self)
    }

    fn lister(&self) -> Option<&dyn SessionLister> {
        Some(self)
    }

    fn index(&self) -> Option<&dyn SessionIndex> {
        Some(self)
    }
}

impl fmt::Debug for RedisHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Store { client, keys, max_record_bytes, .. } = &*self.store;
        f.debug_struct("RedisHandler")
            .field("client", client)
            .field("keys", keys)
            .field("max_record_bytes", max_record_bytes)
            .finish_non_exhaustive()
    }
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
        let handler = RedisHandler::new(RedisConfig::new("redis://h")).unwrap();
        let drawn: std::collections::HashSet<_> =
            (0..1000).map(|_| handler.store.draw_version()).collect();
        assert_eq!(drawn.len(), 1000);
        assert!(!drawn.contains(&0));
    }

    #[test]
    fn nothing_secret_is_shown() {
        let config = RedisConfig::new("redis://ann:secret@h/1");
        let handler = RedisHandler::new(config).unwrap();
        assert!(!format!("{handler:?}").contains("secret"));
    }
}
