//! Who is measured, and with what.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use crate::{Failure, ours, raw};

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
    OursMemory,
    RawMemory,
    OursFile,
    RawFile,
    OursFileFull,
    RawFileFull,
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
    pub(crate) const ALL: [Self; 9] = [
        Self::Bare,
        Self::Layer,
        Self::Extension,
        Self::OursMemory,
        Self::RawMemory,
        Self::OursFile,
        Self::RawFile,
        Self::OursFileFull,
        Self::RawFileFull,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Layer => "layer",
            Self::Extension => "extension",
            Self::OursMemory => "ours-memory",
            Self::RawMemory => "raw-memory",
            Self::OursFile => "ours-file",
            Self::RawFile => "raw-file",
            Self::OursFileFull => "ours-file-full",
            Self::RawFileFull => "raw-file-full",
        }
    }

    pub(crate) fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|contender| contender.name() == name)
    }

    /// Returns what is worth asking of this server.
    pub(crate) const fn operations(self) -> &'static [Operation] {
        match self {
            Self::Bare | Self::Layer | Self::Extension => &[Operation::None],
            Self::OursMemory | Self::RawMemory | Self::OursFile | Self::RawFile => &Operation::ALL,
            Self::OursFileFull | Self::RawFileFull => &[Operation::Change, Operation::New],
        }
    }

    /// Returns the routes, one per operation, and `/fill`, which makes a large session.
    pub(crate) async fn router(self, dir: &Path) -> Result<Router, Failure> {
        let dir = dir.join(self.name());
        let file = |durability| format!("file:{}?session.durability={durability}", dir.display());
        Ok(match self {
            Self::Bare => Router::new().route("/none", get(async || "ok\n")),
            Self::Layer => {
                let nothing = tower_layer::Identity::new();
                Router::new().route("/none", get(async || "ok\n")).layer(nothing)
            }
            Self::Extension => {
                let nothing = axum::Extension(Arc::new(()));
                Router::new().route("/none", get(async || "ok\n")).layer(nothing)
            }
            Self::OursMemory => ours::router("memory:").await?,
            Self::OursFile => ours::router(&file("process")).await?,
            Self::OursFileFull => ours::router(&file("full")).await?,
            Self::RawMemory => raw::router(raw::Store::memory()),
            Self::RawFile => raw::router(raw::Store::files(&dir, false)?),
            Self::RawFileFull => raw::router(raw::Store::files(&dir, true)?),
        })
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
