//! Making a connection to the right server.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::aio::{MultiplexedConnection, SendError};
use redis::io::tcp::socket2::{SockRef, TcpKeepalive};
use redis::{
    AsyncConnectionConfig, Client, ProtocolVersion, PushInfo, PushKind, RedisConnectionInfo,
};
use session_core::{ErrorKind, Result};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::address::{Address, Location};
use crate::config::RedisConfig;
use crate::error::{self, Failure, Next};
use crate::link::{Live, Wire};
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
    Client(Client),
}

/// After so long without a word the system asks whether the other end is still there, so
/// that an idle connection that a firewall has forgotten is noticed before a call has to.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(15);
/// The pause before it asks again.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(5);
/// For so long the system sends in vain before it takes a connection for dead.
const UNACKED_FOR: Duration = Duration::from_secs(15);

/// What is the same for all servers: login and trust.
#[derive(Clone)]
pub(crate) struct Greeting {
    login: RedisConnectionInfo,
    /// For how long one call may take, and so making a connection.
    pub(crate) timeout: Duration,
    #[cfg(feature = "tls-rustls")]
    tls: Option<Tls>,
}

impl Greeting {
    /// Prepares the login, and reads the certificates if they are needed.
    pub(crate) fn new(location: &Location, config: &RedisConfig) -> Result<Self> {
        let user = location.user.as_deref();
        let password = location.password.as_ref().map(|password| password.as_str());
        let login = login(user, password, location.resp3).set_db(location.database);
        Ok(Self {
            login,
            timeout: config.timeout,
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
                self.greet(stream, Wire::Other).await
            }
            Address::Tcp { host, port, tls } => {
                let stream = TcpStream::connect((&**host, *port)).await.map_err(refused)?;
                stream.set_nodelay(true).and_then(|()| watch(&stream)).map_err(refused)?;
                match tls {
                    false => self.greet(stream, Wire::Tcp).await,
                    true => self.connect_tls(host, stream).await,
                }
            }
        }
    }

    #[cfg(feature = "tls-rustls")]
    async fn connect_tls(&self, host: &str, stream: TcpStream) -> Result<Live, Failure> {
        let tls = self.tls.as_ref().ok_or_else(error::unexpected)?;
        self.greet(tls.connect(host, stream).await?, Wire::Tls).await
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
        wire: Wire,
    ) -> Result<Live, Failure> {
        // Every call has a deadline of its own, over all that it does.
        let config = settings();
        let made = MultiplexedConnection::new_with_config(&self.login, stream, config).await;
        let (connection, driver) = made.map_err(|err| error::at_greeting(&err, Some(wire)))?;
        let gone = Arc::new(AtomicBool::new(false));
        let ends = Ends(Arc::clone(&gone));
        tokio::spawn(async move {
            let _ends = ends;
            driver.await;
        });
        Ok(Live::new(connection, wire, gone, self.patience()))
    }

    /// Has an application's own client connect and log in.
    ///
    /// Only in RESP3 the driver tells of the end of a connection that it made. It lets go of
    /// whom it tells when there is nothing more to tell.
    async fn connect_by(&self, client: &Client) -> Result<Live, Failure> {
        let info = client.get_connection_info();
        let login = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let info = info.clone().set_redis_settings(login);
        let gone = Arc::new(AtomicBool::new(false));
        let ends = Ends(Arc::clone(&gone));
        let config = settings().set_push_sender(move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                ends.0.store(true, Ordering::Release);
            }
            Ok::<_, SendError>(())
        });
        let client = Client::open(info).map_err(|err| error::at_greeting(&err, None))?;
        let made = client.get_multiplexed_async_connection_with_config(&config).await;
        let connection = made.map_err(|err| error::at_greeting(&err, None))?;
        Ok(Live::new(connection, Wire::Other, gone, self.patience()))
    }

    /// Returns for how long callers may wait in vain until a connection is left.
    fn patience(&self) -> Duration {
        self.timeout / 4
    }
}

impl Dialer {
    /// Returns where it leads, if that is always the same place.
    #[cfg(feature = "cluster")]
    pub(crate) const fn address(&self) -> Option<&Address> {
        match &self.target {
            Target::Address(address) => Some(address),
            _ => None,
        }
    }

    /// Returns how long making a connection may take.
    pub(crate) const fn limit(&self) -> Duration {
        self.greeting.timeout
    }

    /// Makes a connection.
    pub(crate) async fn dial(&self) -> Result<Live, Failure> {
        match &self.target {
            Target::Address(address) => self.greeting.connect(address).await,
            #[cfg(feature = "sentinel")]
            Target::Sentinel(sentinels) => sentinels.primary(&self.greeting).await,
            Target::Client(client) => self.greeting.connect_by(client).await,
        }
    }
}

/// Marks a connection as gone when its task ends, even if the runtime shuts down.
struct Ends(Arc<AtomicBool>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

fn settings() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None)
}

/// Has the system look after a connection.
fn watch(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_EVERY);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNACKED_FOR))?;
    Ok(())
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
    if err.kind() == io::ErrorKind::PermissionDenied {
        let mut failure = Failure::unreachable("the system refuses access to the socket", err);
        (failure.kind, failure.next) = (ErrorKind::PermissionDenied, Next::GiveUp);
        return failure;
    }
    let message = "the server cannot be reached; check host and port, and whether it runs";
    Failure::unreachable(message, err)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_system_looks_after_a_connection() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        watch(&stream).unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE_AFTER);
        #[cfg(target_os = "linux")]
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(UNACKED_FOR));
    }
}
