//! Finding the primary through Sentinel.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use redis::{Cmd, Value};
use session_core::ErrorKind;

use crate::address::{Address, Location};
use crate::config::RedisConfig;
use crate::dial::Greeting;
use crate::error::{self, Failure, Next};
use crate::link::Live;

/// The Sentinels, and the name of what they watch.
pub(crate) struct Sentinels {
    addresses: Vec<Address>,
    greeting: Greeting,
    master: String,
    tls: bool,
    found: Mutex<Found>,
}

/// The primary that was found last, and the connections to it.
#[derive(Default)]
struct Found {
    address: Option<Address>,
    connections: Vec<Weak<AtomicBool>>,
}

impl Sentinels {
    pub(crate) fn new(location: &Location, config: &RedisConfig, greeting: &Greeting) -> Self {
        let (user, password) = (&config.sentinel_user, &config.sentinel_auth);
        Self {
            addresses: location.addresses.clone(),
            greeting: greeting.with_login(user.as_deref(), password.as_deref()),
            master: config.master.clone().unwrap_or_default(),
            tls: location.is_tls(),
            found: Mutex::default(),
        }
    }

    /// Connects to the primary.
    ///
    /// All Sentinels are asked at once, so that one that hangs costs nothing. The
    /// first answer counts that leads to a server which calls itself the primary.
    /// If it is another one than before, connections to the one before are gone: else
    /// a call would read from the one what another call has long changed on the other.
    pub(crate) async fn primary(&self, greeting: &Greeting) -> Result<Live, Failure> {
        let asked = self.addresses.iter().map(|sentinel| self.ask(sentinel, greeting));
        let mut asked: FuturesUnordered<_> = asked.collect();
        let mut worst: Option<Failure> = None;
        while let Some(answer) = asked.next().await {
            match answer {
                Ok((address, live)) => {
                    self.remember(address, &live);
                    return Ok(live);
                }
                Err(failure) => {
                    if worst.is_none() || failure.next == Next::GiveUp {
                        worst = Some(failure);
                    }
                }
            }
        }
        Err(worst.unwrap_or_else(error::unexpected))
    }

    fn remember(&self, address: Address, live: &Live) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.address.as_ref() != Some(&address) {
            for former in found.connections.drain(..).filter_map(|gone| gone.upgrade()) {
                former.store(true, Ordering::Release);
            }
            found.address = Some(address);
        }
        found.connections.retain(|gone| gone.strong_count() > 0);
        found.connections.push(Arc::downgrade(live.gone()));
    }

    /// Asks one Sentinel, and goes where it says.
    async fn ask(
        &self,
        sentinel: &Address,
        greeting: &Greeting,
    ) -> Result<(Address, Live), Failure> {
        let live = self.greeting.connect(sentinel).await.map_err(whose_login)?;
        let mut cmd = redis::cmd("SENTINEL");
        cmd.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.master);
        let address = match ask(&live, &cmd).await.map_err(whose_login)? {
            Value::Array(parts) => self.address(&parts).ok_or_else(error::unexpected)?,
            Value::Nil => {
                return Err(Failure::new(
                    ErrorKind::InvalidConfig,
                    Next::GiveUp,
                    "the Sentinels watch no primary of that name; check session.master",
                ));
            }
            _ => return Err(error::unexpected()),
        };
        let primary = greeting.connect(&address).await?;
        match ask(&primary, &redis::cmd("ROLE")).await {
            Ok(Value::Array(role)) if !is_primary(&role) => Err(Failure::new(
                ErrorKind::Unavailable,
                Next::Again,
                "the primary is changing; the Sentinels have not agreed yet",
            )),
            Err(failure) if failure.kind != ErrorKind::PermissionDenied => Err(failure),
            // Who may not ask learns of a replica by its refusals.
            _ => Ok((address, primary)),
        }
    }

    fn address(&self, parts: &[Value]) -> Option<Address> {
        let [Value::BulkString(host), Value::BulkString(port)] = parts else { return None };
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        Some(Address::Tcp { host: text(host)?, port: text(port)?.parse().ok()?, tls: self.tls })
    }
}

/// Says of a refusal that it is a Sentinel's: the login in the URI is that of the servers.
fn whose_login(failure: Failure) -> Failure {
    if failure.kind != ErrorKind::PermissionDenied {
        return failure;
    }
    Failure::new(
        ErrorKind::PermissionDenied,
        Next::GiveUp,
        "the Sentinels refuse the user, the password or the command; check session.sentinel_user \
         and session.sentinel_auth, and grant what the README lists",
    )
}

async fn ask(live: &Live, cmd: &Cmd) -> Result<Value, Failure> {
    live.ask(cmd).await.map_err(|err| error::at_greeting(&err, live.unheard()))
}

fn is_primary(role: &[Value]) -> bool {
    matches!(role.first(), Some(Value::BulkString(name)) if name == b"master")
}

impl fmt::Debug for Sentinels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sentinels")
            .field("addresses", &self.addresses)
            .field("master", &self.master)
            .finish_non_exhaustive()
    }
}
