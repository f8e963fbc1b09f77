//! One Redis or Valkey.

use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, InfoDict};
use tempfile::TempDir;

use super::redis_connection;
use crate::servers::programs::Program;
use crate::servers::wait::until;
use crate::servers::{Authority, Certificate, Clock, PASSWORD, Process, Result, port};

/// How often another port is tried when somebody else has taken the first.
const TRIES: usize = 5;

/// A Redis or Valkey that belongs to one test.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> session_tests::servers::Result<()> {
/// use session_tests::servers::Redis;
///
/// let redis = Redis::redis().config("maxmemory 10mb").start().await?;
/// redis.process().kill();
/// redis.restart().await?;
/// let _: String = redis.query(&["SCRIPT", "FLUSH"]).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Redis {
    process: Process,
    port: u16,
    scheme: &'static str,
    directory: TempDir,
}

/// A Redis or Valkey before it starts.
#[derive(Clone, Debug)]
#[must_use]
pub struct RedisBuilder {
    program: Program,
    config: String,
    sentinel: bool,
    cluster: bool,
    /// Files of the server's folder.
    tls: Option<[(&'static str, Vec<u8>); 3]>,
    clock: Option<Clock>,
}

impl RedisBuilder {
    pub(super) fn of(program: Program) -> Self {
        let (sentinel, cluster, config) = (false, false, String::new());
        Self { program, config, sentinel, cluster, tls: None, clock: None }
    }

    pub(super) fn sentinel(mut self) -> Self {
        self.sentinel = true;
        self
    }

    pub(super) fn cluster(mut self) -> Self {
        self.cluster = true;
        self
    }

    /// Adds a line of `redis.conf`. Without any, nothing is kept on disk.
    pub fn config(mut self, line: &str) -> Self {
        self.config.push_str(line);
        self.config.push('\n');
        self
    }

    /// Keeps every write on disk, so that it is there after a crash.
    pub fn durable(self) -> Self {
        self.config("appendonly yes").config("appendfsync always")
    }

    /// Adds a user with [`PASSWORD`] and the rules, such as `~sess:* +get +set`.
    pub fn user(self, name: &str, rules: &str) -> Self {
        self.config(&format!("user {name} on >{PASSWORD} {rules}"))
    }

    /// Lets nobody in without [`PASSWORD`].
    pub fn password(self) -> Self {
        self.config(&format!("requirepass {PASSWORD}"))
    }

    /// Speaks TLS and nothing else, also with its replicas, its Cluster and its Sentinels.
    ///
    /// # Panics
    ///
    /// If no certificate can be made.
    pub fn tls(mut self, authority: &Authority, which: Certificate) -> Self {
        let directory = tempfile::tempdir().expect("a temporary folder");
        let [certificate, key, _] =
            authority.issue(which, directory.path()).expect("a certificate");
        let files =
            [("server.pem", certificate), ("server.key", key), ("ca.pem", authority.file())];
        let read = |path| std::fs::read(path).expect("it was just written");
        self.tls = Some(files.map(|(name, path)| (name, read(path))));
        self
    }

    /// Lives by this clock.
    pub fn clock(mut self, clock: &Clock) -> Self {
        self.clock = Some(clock.clone());
        self
    }

    /// Starts the server and waits until it answers.
    ///
    /// # Errors
    ///
    /// If the program cannot be had or does not start.
    pub async fn start(self) -> Result<Redis> {
        let mut tries = 1;
        loop {
            let redis = self.make()?;
            match redis.restart().await {
                Err(_) if tries < TRIES && redis.process.log().contains("in use") => tries += 1,
                result => return result.map(|()| redis),
            }
        }
    }

    fn make(&self) -> Result<Redis> {
        let program = self.program.install()?;
        let directory = tempfile::tempdir()?;
        let [port, bus] = port::free()?;
        let file = directory.path().join("redis.conf");
        std::fs::write(&file, self.text(directory.path(), port, bus)?)?;
        let mut words = program.command();
        words.push(file.into());
        if self.sentinel {
            words.push("--sentinel".into());
        }
        let log = directory.path().join("log");
        let environment = self.clock.as_ref().map(|clock| clock.environment(&program));
        let environment = environment.transpose()?.unwrap_or_default();
        let process = Process::new(words, environment, log);
        let scheme = if self.tls.is_some() { "rediss" } else { "redis" };
        Ok(Redis { process, port, scheme, directory })
    }

    fn text(&self, directory: &Path, port: u16, bus: u16) -> Result<String> {
        let path = directory.display();
        let mut text = format!("bind 127.0.0.1\ndir {path}\nunixsocket {path}/socket\n");
        if let Some(files) = &self.tls {
            for (name, bytes) in files {
                std::fs::write(directory.join(name), bytes)?;
            }
            writeln!(text, "port 0\ntls-port {port}\ntls-auth-clients no")?;
            writeln!(text, "tls-cert-file {path}/server.pem\ntls-key-file {path}/server.key")?;
            writeln!(text, "tls-ca-cert-file {path}/ca.pem")?;
            writeln!(text, "tls-replication yes\ntls-cluster yes")?;
        } else {
            writeln!(text, "port {port}")?;
        }
        // The harness gets in whatever the test does to the other users.
        writeln!(text, "user harness on nopass ~* &* +@all")?;
        if !self.sentinel {
            writeln!(text, "save \"\"")?;
        }
        if self.cluster {
            writeln!(text, "cluster-enabled yes\ncluster-port {bus}")?;
        }
        Ok(text + &self.config)
    }
}

impl Redis {
    /// Returns a Redis that is not started yet.
    pub fn redis() -> RedisBuilder {
        RedisBuilder::of(Program::Redis)
    }

    /// Returns a Valkey that is not started yet.
    pub fn valkey() -> RedisBuilder {
        RedisBuilder::of(Program::Valkey)
    }

    /// Returns the URI of its database 0, without a user.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}/0", self.scheme, self.address())
    }

    /// Returns the URI of its database 0 for a user with [`PASSWORD`].
    #[must_use]
    pub fn url_of(&self, user: &str) -> String {
        format!("{}://{user}:{PASSWORD}@{}/0", self.scheme, self.address())
    }

    /// Returns what its URI begins with.
    pub(super) const fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// Returns where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Returns the folder that holds its files.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Returns the process, to end or stop it, or to see its log.
    #[must_use]
    pub const fn process(&self) -> &Process {
        &self.process
    }

    /// Starts it again after it was ended, on the same port and with its files,
    /// and waits until it has loaded them.
    ///
    /// # Errors
    ///
    /// If it runs, or does not start.
    pub async fn restart(&self) -> Result<()> {
        self.process.start(async || self.query::<String>(&["PING"]).await.map(drop)).await
    }

    /// Opens a connection of a user who may do everything, past TLS and passwords.
    ///
    /// # Errors
    ///
    /// If the server does not answer.
    pub async fn connection(&self) -> Result<MultiplexedConnection> {
        let socket = self.directory().join("socket");
        redis_connection(format!("redis+unix://{}?user=harness&pass=any", socket.display())).await
    }

    /// Runs a command as a user who may do everything.
    ///
    /// # Errors
    ///
    /// If the server does not answer, refuses, or answers with something else.
    pub async fn query<T: FromRedisValue>(&self, words: &[&str]) -> Result<T> {
        let mut connection = self.connection().await?;
        let (name, arguments) = words.split_first().ok_or("no command")?;
        Ok(redis::cmd(name).arg(arguments).query_async(&mut connection).await?)
    }

    /// Gives it another certificate while it runs, for connections to come. Two in
    /// succession must differ.
    ///
    /// # Errors
    ///
    /// If there is no such certificate, or the server does not take it.
    pub async fn certify(&self, authority: &Authority, which: Certificate) -> Result<()> {
        // A file whose name it knows already would not be read again.
        let directory = self.directory().join(format!("{which:?}"));
        std::fs::create_dir_all(&directory)?;
        let [certificate, key, _] = authority.issue(which, &directory)?;
        let [certificate, key] = [certificate, key].map(|file| file.display().to_string());
        self.query(&["CONFIG", "SET", "tls-cert-file", &certificate, "tls-key-file", &key]).await
    }

    /// Returns a field of `INFO`, or an empty text if there is none.
    ///
    /// # Errors
    ///
    /// If the server does not answer.
    pub async fn info(&self, field: &str) -> Result<String> {
        let info: InfoDict = self.query(&["INFO", "everything"]).await?;
        Ok(info.get(field).unwrap_or_default())
    }

    /// Waits until the server has the time of a clock that stands. Valkey looks at the
    /// time of day once in a while, and counts on from there by itself in between.
    ///
    /// # Errors
    ///
    /// If the server does not answer.
    pub async fn follow(&self, clock: &Clock) -> Result<()> {
        let Some(now) = clock.now() else { return Ok(()) };
        until("the server's time", async || {
            let (secs, micros): (u64, u32) = self.query(&["TIME"]).await?;
            Ok((secs, micros) >= (now.as_secs(), now.subsec_micros()))
        })
        .await
    }

    /// Returns its name and version.
    ///
    /// # Errors
    ///
    /// If the server does not answer.
    pub async fn version(&self) -> Result<String> {
        let valkey = self.info("valkey_version").await?;
        if !valkey.is_empty() {
            return Ok(format!("Valkey {valkey}"));
        }
        Ok(format!("Redis {}", self.info("redis_version").await?))
    }

    /// Forgets how often each command was run.
    ///
    /// # Errors
    ///
    /// If the server does not answer.
    pub async fn reset_counts(&self) -> Result<()> {
        self.query(&["CONFIG", "RESETSTAT"]).await
    }

    /// Returns how often a command, in lower case, was run since
    /// [`reset_counts`](Self::reset_counts), whether by a client or by a script.
    ///
    /// # Errors
    ///
    /// If the server does not answer.
    pub async fn count(&self, command: &str) -> Result<u64> {
        let field = self.info(&format!("cmdstat_{command}")).await?;
        let calls = field.strip_prefix("calls=").and_then(|rest| rest.split(',').next());
        Ok(calls.map_or(Ok(0), str::parse)?)
    }
}
