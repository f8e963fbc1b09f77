#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "axum")]
mod axum;
mod body;
mod builder;
mod cache;
mod config;
mod cookie;
mod error;
mod ext;
mod future;
mod https;
mod installed;
mod layer;
mod lazy;
mod registry;
#[cfg(feature = "axum")]
mod rejection;
mod save;
mod session;
mod settings;
mod transport;

pub use body::SessionBody;
pub use builder::LayerBuilder;
pub use config::HttpConfig;
#[cfg(feature = "signed")]
pub use cookie::KeyRing;
pub use cookie::{CookieConfig, SameSite, Secure};
pub use error::default_response;
pub use ext::RequestSessionExt;
pub use future::ResponseFuture;
pub use https::Https;
pub use layer::{SessionLayer, SessionService};
pub use lazy::LazySession;
pub use registry::registry;
#[cfg(feature = "axum")]
pub use rejection::SessionRejection;
pub use save::SaveRule;
pub use session::Session;
/// The session system underneath.
pub use session_core;
pub use session_core::{
    Error as SessionError, ErrorKind, Key, Policy, Profile, Registry, SessionManager,
};
pub use transport::Transport;
