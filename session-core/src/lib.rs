#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod capability;
mod changes;
mod clock;
mod config;
mod error;
mod frame;
mod gc;
mod handler;
mod id;
mod key;
mod limits;
mod manager;
mod memory;
mod observe;
mod owner;
mod policy;
mod profile;
mod random;
mod record;
mod registry;
mod runtime;
pub mod seconds;
mod serializer;
mod session;
mod sync;
#[cfg(feature = "testkit")]
pub mod testkit;
mod uri;
mod value;

pub use async_trait::async_trait;
pub use bytes::Bytes;

pub use capability::{
    Cursor, FencingToken, Page, PageRequest, SessionIndex, SessionLister, SessionLocker,
    SessionMeta,
};
pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use config::SessionConfig;
pub use error::{Error, ErrorKind, Operation, Result};
pub use gc::Gc;
pub use handler::{
    GcReport, GcRequest, HandlerInfo, SessionHandler, Stored, Version, WriteMode, WriteOptions,
};
pub use id::SessionId;
pub use key::SessionKey;
pub use manager::{Access, ManagerBuilder, SessionManager, Shielded};
pub use memory::{MemoryFactory, MemoryHandler};
#[cfg(feature = "metrics")]
pub use observe::MetricsObserver;
#[cfg(feature = "tracing")]
pub use observe::TracingObserver;
pub use observe::{Event, Observer};
pub use owner::Owner;
pub use policy::{Conflict, Damage, Excess, Exclusive, Lottery, Outage, OwnerLimit, Policy};
pub use profile::Profile;
pub use random::{OsRandom, Random};
pub use registry::{HandlerFactory, Registry};
#[cfg(feature = "rt")]
pub use runtime::TokioRuntime;
pub use runtime::{BoxFuture, Runtime};
#[cfg(feature = "bincode")]
pub use serializer::Bincode;
#[cfg(feature = "json")]
pub use serializer::Json;
#[cfg(feature = "msgpack")]
pub use serializer::MessagePack;
#[cfg(feature = "postcard")]
pub use serializer::Postcard;
pub use serializer::{MAX_ENCODED_LEN, Serializer, Serializers};
pub use session::{CookieAction, Key, Save, Session, Status};
pub use uri::StoreUri;
pub use value::{MAX_DEPTH, Value};
