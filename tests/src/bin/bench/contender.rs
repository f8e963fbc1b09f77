//! Who is measured, and with what.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use session_tests::servers::Shared;

use crate::{Failure, ours, raw};

/// Serves with other crates. Built apart, as nothing here may depend on them.
const PEERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/target/release/session-peers");

/// A server that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    /// No session at all.
    Bare,
    /// A tower layer that does nothing: what axum takes for any middleware.
    Layer,
    /// A layer that puts an `Arc` into the request's extensions: what axum takes
    /// for anything that a middleware hands to handlers.
    Extension,
    /// This project's sessions.
    Ours(Keeper),
    /// What one would write by hand.
    Raw(Keeper),
    /// The same with what no session system leaves out that keeps its promises.
    Least(Keeper),
    /// The crate `tower-sessions`.
    TowerSessions(Keeper),
    /// The crate `axum_session`.
    AxumSession(Keeper),
}

/// Where sessions are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeper {
    Memory,
    File,
    /// Files that survive a power cut.
    FileFull,
    Redis,
    Valkey,
    MariaDb,
    MySql,
    MongoDb,
}

/// What is asked of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// A handler that never asks for its session, for a client that has one.
    None,
    /// One key of a session that has no other.
    Read,
    /// One key of a session of 50 keys and 8 KiB.
    Big,
    /// A counter is incremented and stored.
    Change,
    /// A visitor without a cookie gets a session.
    New,
}

impl Contender {
    pub(crate) const ALL: [Self; 34] = [
        Self::Bare,
        Self::Layer,
        Self::Extension,
        Self::Ours(Keeper::Memory),
        Self::Raw(Keeper::Memory),
        Self::Least(Keeper::Memory),
        Self::TowerSessions(Keeper::Memory),
        Self::AxumSession(Keeper::Memory),
        Self::Ours(Keeper::File),
        Self::Raw(Keeper::File),
        Self::Least(Keeper::File),
        Self::TowerSessions(Keeper::File),
        Self::Ours(Keeper::FileFull),
        Self::Raw(Keeper::FileFull),
        Self::Ours(Keeper::Redis),
        Self::Raw(Keeper::Redis),
        Self::Least(Keeper::Redis),
        Self::TowerSessions(Keeper::Redis),
        Self::AxumSession(Keeper::Redis),
        Self::Ours(Keeper::Valkey),
        Self::Raw(Keeper::Valkey),
        Self::Least(Keeper::Valkey),
        Self::Ours(Keeper::MariaDb),
        Self::Raw(Keeper::MariaDb),
        Self::Least(Keeper::MariaDb),
        Self::TowerSessions(Keeper::MariaDb),
        Self::Ours(Keeper::MySql),
        Self::Raw(Keeper::MySql),
        Self::Least(Keeper::MySql),
        Self::TowerSessions(Keeper::MySql),
        Self::Ours(Keeper::MongoDb),
        Self::Raw(Keeper::MongoDb),
        Self::Least(Keeper::MongoDb),
        Self::TowerSessions(Keeper::MongoDb),
    ];

    pub(crate) fn name(self) -> String {
        let (kind, keeper) = match self {
            Self::Bare => return "bare".into(),
            Self::Layer => return "layer".into(),
            Self::Extension => return "extension".into(),
            Self::Ours(keeper) => ("ours", keeper),
            Self::Raw(keeper) => ("raw", keeper),
            Self::Least(keeper) => ("least", keeper),
            Self::TowerSessions(keeper) => ("ts", keeper),
            Self::AxumSession(keeper) => ("as", keeper),
        };
        format!("{kind}-{}", keeper.name())
    }

    pub(crate) fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|contender| contender.name() == name)
    }

    /// Returns what is worth asking of this server.
    pub(crate) const fn operations(self) -> &'static [Operation] {
        match self {
            Self::Bare | Self::Layer | Self::Extension => &[Operation::None],
            Self::Ours(Keeper::FileFull) | Self::Raw(Keeper::FileFull) => {
                &[Operation::Change, Operation::New]
            }
            Self::Ours(_) | Self::Raw(_) | Self::TowerSessions(_) | Self::AxumSession(_) => {
                &Operation::ALL
            }
            Self::Least(_) => &[Operation::Read, Operation::Change, Operation::New],
        }
    }

    pub(crate) const fn has_sessions(self) -> bool {
        !matches!(self, Self::Bare | Self::Layer | Self::Extension)
    }

    /// Returns the server that keeps its sessions, if that is one.
    pub(crate) const fn store(self) -> Option<Shared> {
        match self {
            Self::Bare | Self::Layer | Self::Extension => None,
            Self::Ours(keeper)
            | Self::Raw(keeper)
            | Self::Least(keeper)
            | Self::TowerSessions(keeper)
            | Self::AxumSession(keeper) => keeper.server(),
        }
    }

    /// Says what this server needs and has not.
    pub(crate) fn missing(self) -> Option<String> {
        let variable = self.store().map(Shared::variable);
        if let Some(variable) = variable.filter(|variable| std::env::var_os(variable).is_none()) {
            return Some(format!("{variable} is not set"));
        }
        let program = self.program().is_ok_and(|program| program.exists());
        (!program).then(|| "tests/peers is not built".into())
    }

    /// Returns the program that serves: this one, or the one with other crates.
    pub(crate) fn program(self) -> io::Result<PathBuf> {
        match self {
            Self::TowerSessions(_) | Self::AxumSession(_) => Ok(PathBuf::from(PEERS)),
            _ => std::env::current_exe(),
        }
    }

    /// Returns the routes, one per operation, and `/fill`, which makes a large session.
    pub(crate) async fn router(self, dir: &Path) -> Result<Router, Failure> {
        let dir = dir.join(self.name());
        match self {
            Self::Bare => Ok(Router::new().route("/none", get(async || "ok\n"))),
            Self::Layer => {
                let nothing = tower_layer::Identity::new();
                Ok(Router::new().route("/none", get(async || "ok\n")).layer(nothing))
            }
            Self::Extension => {
                let nothing = axum::Extension(Arc::new(()));
                Ok(Router::new().route("/none", get(async || "ok\n")).layer(nothing))
            }
            Self::Ours(keeper) => Ok(ours::router(&keeper.uri(&dir)?).await?),
            Self::Raw(keeper) => Ok(raw::router(keeper.by_hand(&dir).await?)),
            Self::Least(keeper) => Ok(raw::router(keeper.by_hand(&dir).await?).layer(raw::Least)),
            Self::TowerSessions(_) | Self::AxumSession(_) => {
                Err("another program serves it".into())
            }
        }
    }
}

impl Keeper {
    const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::File => "file",
            Self::FileFull => "file-full",
            Self::Redis => "redis",
            Self::Valkey => "valkey",
            Self::MariaDb => "mariadb",
            Self::MySql => "mysql",
            Self::MongoDb => "mongodb",
        }
    }

    const fn server(self) -> Option<Shared> {
        match self {
            Self::Memory | Self::File | Self::FileFull => None,
            Self::Redis => Some(Shared::Redis),
            Self::Valkey => Some(Shared::Valkey),
            Self::MariaDb => Some(Shared::MariaDb),
            Self::MySql => Some(Shared::MySql),
            Self::MongoDb => Some(Shared::MongoDb),
        }
    }

    async fn by_hand(self, dir: &Path) -> Result<raw::Store, Failure> {
        match self {
            Self::Memory => Ok(raw::Store::memory()),
            Self::File => raw::Store::files(dir, false),
            Self::FileFull => raw::Store::files(dir, true),
            Self::Redis | Self::Valkey => raw::Store::redis(&self.uri(dir)?).await,
            Self::MariaDb | Self::MySql => raw::Store::mysql(&self.uri(dir)?).await,
            Self::MongoDb => raw::Store::mongo(&self.uri(dir)?).await,
        }
    }

    fn uri(self, dir: &Path) -> Result<String, Failure> {
        match self.server() {
            Some(server) => Ok(std::env::var(server.variable())
                .map_err(|_| format!("{} is not set", server.variable()))?),
            None if self == Self::Memory => Ok("memory:".into()),
            None => {
                let durability = if self == Self::FileFull { "full" } else { "process" };
                Ok(format!("file:{}?session.durability={durability}", dir.display()))
            }
        }
    }
}

impl Operation {
    const ALL: [Self; 5] = [Self::None, Self::Read, Self::Big, Self::Change, Self::New];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read => "read",
            Self::Big => "big",
            Self::Change => "change",
            Self::New => "new",
        }
    }

    /// Returns the path that gives a client the session this needs.
    pub(crate) const fn preparation(self) -> Option<&'static str> {
        match self {
            Self::None | Self::Read | Self::Change => Some("/new"),
            Self::Big => Some("/fill"),
            Self::New => None,
        }
    }
}

/// What the large session holds: 50 keys, 8 KiB together.
pub(crate) fn large() -> impl Iterator<Item = (String, String)> {
    (0..50).map(|at| (format!("key{at:02}"), format!("{at:02}").repeat(80)))
}
