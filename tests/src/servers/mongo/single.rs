//! One MongoDB.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use mongodb::Client;
use mongodb::bson::{Document, doc};
use mongodb::options::{ClientOptions, Credential, ServerAddress, Tls, TlsOptions};
use tempfile::TempDir;

use crate::servers::programs::Program;
use crate::servers::{Authority, Certificate, PASSWORD, Process, Result, port};

/// How often another port is tried when somebody else has taken the first.
const TRIES: usize = 5;

/// The user who may do everything, where users are asked for.
const ADMIN: &str = "tests";

/// A MongoDB that belongs to one test.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> session_tests::servers::Result<()> {
/// use session_tests::servers::Mongo;
///
/// let mongo = Mongo::mongodb().option("--notablescan").start().await?;
/// mongo.process().kill();
/// mongo.restart().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Mongo {
    process: Process,
    port: u16,
    auth: bool,
    tls: bool,
    directory: TempDir,
}

/// A MongoDB before it starts.
#[derive(Clone, Debug)]
#[must_use]
pub struct MongoBuilder {
    options: Vec<OsString>,
    /// As `NAME=VALUE`.
    time: Option<String>,
    auth: bool,
    /// Files of the server's folder.
    tls: Option<[(&'static str, Vec<u8>); 2]>,
}

impl MongoBuilder {
    /// Lets it believe in another time: `-300s`, or `@2000-06-01 00:00:00` from its
    /// start on, in the words of libfaketime.
    pub fn time(mut self, time: &str) -> Self {
        self.time = Some(time.into());
        self
    }

    /// Adds a word of the command line, as in `--notablescan` or
    /// `--setParameter=ttlMonitorEnabled=false`.
    pub fn option(mut self, option: &str) -> Self {
        self.options.push(option.into());
        self
    }

    /// Makes the command `configureFailPoint` work.
    pub fn fail_points(self) -> Self {
        self.option("--setParameter=enableTestCommands=1")
    }

    /// Lets nobody in without a password. The user `tests`, who may do
    /// everything, has [`PASSWORD`].
    pub fn auth(mut self) -> Self {
        self.auth = true;
        self.option("--auth")
    }

    /// Speaks TLS and nothing else.
    ///
    /// # Panics
    ///
    /// If no certificate can be made.
    pub fn tls(mut self, authority: &Authority, which: Certificate) -> Self {
        let directory = tempfile::tempdir().expect("a temporary folder");
        let [_, _, both] = authority.issue(which, directory.path()).expect("a certificate");
        let read = |path| std::fs::read(path).expect("it was just written");
        self.tls = Some([("server.pem", read(both)), ("ca.pem", read(authority.file()))]);
        self
    }

    /// Starts the server and waits until it answers.
    ///
    /// # Errors
    ///
    /// If the program cannot be had or does not start.
    pub async fn start(self) -> Result<Mongo> {
        let mut tries = 1;
        loop {
            let mongo = self.make()?;
            match mongo.restart().await {
                Err(_) if tries < TRIES && mongo.process.log().contains("in use") => tries += 1,
                result => {
                    result?;
                    return Ok(mongo);
                }
            }
        }
    }

    fn make(&self) -> Result<Mongo> {
        let program = Program::MongoDb.install()?;
        let directory = tempfile::tempdir()?;
        let folder = directory.path();
        let data = folder.join("data");
        std::fs::create_dir(&data)?;
        let [port] = port::free()?;
        let mut words = program.command();
        words.extend(
            [
                format!("--dbpath={}", data.display()),
                format!("--port={port}"),
                format!("--unixSocketPrefix={}", folder.display()),
            ]
            .map(OsString::from),
        );
        words.extend(
            [
                "--bind_ip=127.0.0.1",
                "--wiredTigerCacheSizeGB=0.25",
                // By default the journal takes 300 MB before anything is written.
                "--wiredTigerEngineConfigString=log=(file_max=16MB,prealloc=false)",
                "--setParameter=diagnosticDataCollectionEnabled=false",
            ]
            .map(OsString::from),
        );
        if let Some(files) = &self.tls {
            for (name, bytes) in files {
                std::fs::write(folder.join(name), bytes)?;
            }
            let [server, authority] = files.each_ref().map(|(name, _)| folder.join(name));
            words.extend(
                ["--tlsMode=requireTLS", "--tlsAllowConnectionsWithoutCertificates"]
                    .map(OsString::from),
            );
            words.push(format!("--tlsCertificateKeyFile={}", server.display()).into());
            words.push(format!("--tlsCAFile={}", authority.display()).into());
        }
        words.extend(self.options.iter().cloned());
        let time = self.time.as_ref().map(|time| program.time(time)).transpose()?;
        let process = Process::new(words, time.unwrap_or_default(), folder.join("log"));
        Ok(Mongo { process, port, auth: self.auth, tls: self.tls.is_some(), directory })
    }
}

impl Mongo {
    /// Returns a MongoDB that is not started yet.
    pub const fn mongodb() -> MongoBuilder {
        MongoBuilder { options: Vec::new(), time: None, auth: false, tls: None }
    }

    /// Returns the URI of the database `tests`, for the user who may do
    /// everything if users are asked for.
    #[must_use]
    pub fn url(&self) -> String {
        if self.auth { self.url_of(ADMIN) } else { self.uri("", "") }
    }

    /// Returns the URI of the database `tests` for a user of the database `admin`
    /// with [`PASSWORD`].
    #[must_use]
    pub fn url_of(&self, user: &str) -> String {
        self.uri(&format!("{user}:{PASSWORD}@"), "authSource=admin")
    }

    fn uri(&self, user: &str, auth: &str) -> String {
        let tls = if self.tls {
            format!("tls=true&tlsCAFile={}", self.directory().join("ca.pem").display())
        } else {
            String::new()
        };
        let options: Vec<_> = [auth, &tls].into_iter().filter(|it| !it.is_empty()).collect();
        let mark = if options.is_empty() { "" } else { "?" };
        format!("mongodb://{user}{}/tests{mark}{}", self.address(), options.join("&"))
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
    /// and waits until it answers.
    ///
    /// # Errors
    ///
    /// If it runs, or does not start.
    pub async fn restart(&self) -> Result<()> {
        self.process
            .start(async || run(&self.client(false)?, doc! { "ping": 1 }).await.map(drop))
            .await?;
        if self.auth {
            self.make_admin().await?;
        }
        Ok(())
    }

    /// Makes the first user, which needs no password.
    async fn make_admin(&self) -> Result<()> {
        if self.command(doc! { "ping": 1 }).await.is_ok() {
            return Ok(());
        }
        let user = doc! { "createUser": ADMIN, "pwd": PASSWORD, "roles": ["root"] };
        run(&self.client(false)?, user).await.map(drop)
    }

    /// Returns a client of this one server, and of a user who may do everything.
    /// It belongs to the runtime that it is used in first.
    ///
    /// # Errors
    ///
    /// If the driver refuses its options.
    pub fn direct(&self) -> Result<Client> {
        self.client(self.auth)
    }

    fn client(&self, auth: bool) -> Result<Client> {
        let host = ServerAddress::Tcp { host: "127.0.0.1".into(), port: Some(self.port) };
        let tls = TlsOptions::builder().allow_invalid_certificates(true).build();
        let credential = Credential::builder()
            .username(ADMIN.to_owned())
            .password(PASSWORD.to_owned())
            .source("admin".to_owned())
            .build();
        let options = ClientOptions::builder()
            .hosts(vec![host])
            .direct_connection(true)
            .server_selection_timeout(Duration::from_secs(4))
            .tls(self.tls.then_some(Tls::Enabled(tls)))
            .credential(auth.then_some(credential))
            .build();
        Ok(Client::with_options(options)?)
    }

    /// Runs a command on the database `admin`.
    ///
    /// # Errors
    ///
    /// If the server does not answer or refuses.
    pub async fn command(&self, command: Document) -> Result<Document> {
        run(&self.direct()?, command).await
    }

    /// Makes a user of the database `admin` with [`PASSWORD`] and these roles,
    /// as in `doc! { "role": "readWrite", "db": "tests" }`.
    ///
    /// # Errors
    ///
    /// If the server does not answer or refuses.
    pub async fn user(&self, name: &str, roles: Vec<Document>) -> Result<()> {
        let user = doc! { "createUser": name, "pwd": PASSWORD, "roles": roles };
        self.command(user).await.map(drop)
    }

    /// Returns how often an operation was done: `insert`, `query`, `update`,
    /// `delete`, `getmore` or `command`, the last without all the others.
    ///
    /// # Errors
    ///
    /// If the server does not answer.
    pub async fn count(&self, operation: &str) -> Result<i64> {
        let status = self.command(doc! { "serverStatus": 1 }).await?;
        let counters = status.get_document("opcounters")?;
        Ok(counters.get_i64(operation).or_else(|_| counters.get_i32(operation).map(i64::from))?)
    }

    /// Returns its name and version.
    ///
    /// # Errors
    ///
    /// If the server does not answer.
    pub async fn version(&self) -> Result<String> {
        let info = self.command(doc! { "buildInfo": 1 }).await?;
        Ok(format!("MongoDB {}", info.get_str("version")?))
    }
}

async fn run(client: &Client, command: Document) -> Result<Document> {
    Ok(client.database("admin").run_command(command).await?)
}
