//! Making a connection to the right server.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ProtocolVersion, RedisConnectionInfo};
use session_core::{ErrorKind, Result};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::address::{Address, Location};
use crate::config::RedisConfig;
use crate::error::{self, Failure, Next};
use crate::link::Live;
#[cfg(feature = "sentinel")]
use crate::sentinel::Sentinels;
#[cfg(feature = "tls-rustls")]
use crate::tls::Tls;

/// Knows how to make a connection to one server.
#[derive(Clone)]
pub(crate) struct Dialer {
    pub(crate) target: Target,
    pub(crate) greeting: Greeting,
}

/// Which server to connect to.
#[derive(Clone)]
pub(crate) enum Target {
    /// The one that listens here.
    Address(Address),
    /// The one that is the primary now.
    #[cfg(feature = "sentinel")]
    Sentinel(Arc<Sentinels>),
    /// The one that an application's own client leads to.
    Client(redis::Client),
}

/// What is the same for all servers: login and trust.
#[derive(Clone)]
pub(crate) struct Greeting {
    login: RedisConnectionInfo,
    #[cfg(feature = "tls-rustls")]
    tls: Option<Tls>,
}

impl Greeting {
    /// Prepares the login, and reads the certificates if they are needed.
    pub(crate) fn new(location: &Location, config: &RedisConfig) -> Result<Self> {
        let user = location.user.as_deref();
        let password = location.password.as_ref().map(|password| password.as_str());
        let login = login(user, password, location.resp3).set_db(location.database);
        #[cfg(not(feature = "tls-rustls"))]
        let _ = config;
        Ok(Self {
            login,
            #[cfg(feature = "tls-rustls")]
            tls: Tls::for_location(location, config)?,
        })
    }

    /// The same trust, but another login.
    #[cfg(feature = "sentinel")]
    pub(crate) fn with_login(&self, user: Option<&str>, password: Option<&str>) -> Self {
        let resp3 = self.login.protocol() == ProtocolVersion::RESP3;
        Self { login: login(user, password, resp3), ..self.clone() }
    }

    /// Connects to a server and logs in.
    pub(crate) async fn connect(&self, address: &Address) -> Result<Live, Failure> {
        match address {
            Address::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(refused)?;
                self.greet(stream).await
            }
            Address::Tcp { host, port, tls } => {
                let stream = TcpStream::connect((&**host, *port)).await.map_err(refused)?;
                stream.set_nodelay(true).map_err(refused)?;
                match tls {
                    false => self.greet(stream).await,
                    true => self.connect_tls(host, stream).await,
                }
            }
        }
    }

    #[cfg(feature = "tls-rustls")]
    async fn connect_tls(&self, host: &str, stream: TcpStream) -> Result<Live, Failure> {
        let tls = self.tls.as_ref().ok_or_else(error::unexpected)?;
        self.greet(tls.connect(host, stream).await?).await
    }

    #[cfg(not(feature = "tls-rustls"))]
    async fn connect_tls(&self, _: &str, _: TcpStream) -> Result<Live, Failure> {
        let message = "for TLS enable the feature `tls-rustls` of session-redis";
        Err(Failure::new(ErrorKind::InvalidConfig, Next::GiveUp, message))
    }

    /// Logs in. Ours is the task that drives the connection, so that we know
    /// when it ends.
    async fn greet(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) -> Result<Live, Failure> {
        // Every call has a deadline of its own, over all that it does.
        let config = settings();
        let made = MultiplexedConnection::new_with_config(&self.login, stream, config).await;
        let (connection, driver) = made.map_err(|err| error::at_greeting(&err))?;
        let gone = Arc::new(AtomicBool::new(false));
        let ends = Ends(Arc::clone(&gone));
        tokio::spawn(async move {
            let _ends = ends;
            driver.await;
        });
        Ok(Live::new(connection, gone))
    }
}

impl Dialer {
    /// Makes a connection.
    pub(crate) async fn dial(&self) -> Result<Live, Failure> {
        match &self.target {
            Target::Address(address) => self.greeting.connect(address).await,
            #[cfg(feature = "sentinel")]
            Target::Sentinel(sentinels) => sentinels.primary(&self.greeting).await,
            Target::Client(client) => {
                let made = client.get_multiplexed_async_connection_with_config(&settings()).await;
                let connection = made.map_err(|err| error::at_greeting(&err))?;
                Ok(Live::new(connection, Arc::default()))
            }
        }
    }
}

/// Marks a connection as gone when its task ends, also by a runtime that does.
struct Ends(Arc<AtomicBool>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

fn settings() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None)
}

fn login(user: Option<&str>, password: Option<&str>, resp3: bool) -> RedisConnectionInfo {
    let mut login = RedisConnectionInfo::default().set_skip_set_lib_name();
    if let Some(user) = user {
        login = login.set_username(user);
    }
    if let Some(password) = password {
        login = login.set_password(password);
    }
    let protocol = if resp3 { ProtocolVersion::RESP3 } else { ProtocolVersion::RESP2 };
    login.set_protocol(protocol)
}

/// Translates an error from before anything was said.
fn refused(err: io::Error) -> Failure {
    let message = match err.kind() {
        io::ErrorKind::PermissionDenied => "the system refuses access to the socket",
        _ => "the server cannot be reached; check host and port, and whether it runs",
    };
    let mut failure = Failure::unreachable(message, err);
    if failure.message.starts_with("the system") {
        (failure.kind, failure.next) = (ErrorKind::PermissionDenied, Next::GiveUp);
    }
    failure
}

/// Shows where to, and nothing of the login.
impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Dialer");
        match &self.target {
            Target::Address(address) => out.field("address", address),
            #[cfg(feature = "sentinel")]
            Target::Sentinel(sentinels) => out.field("sentinels", sentinels),
            Target::Client(_) => out.field("client", &".."),
        };
        out.finish_non_exhaustive()
    }
}
