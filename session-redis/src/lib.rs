#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod address;
mod call;
mod client;
#[cfg(feature = "cluster")]
mod cluster;
mod config;
mod cursor;
mod destroy;
mod dial;
mod draft;
mod error;
mod factory;
mod handler;
mod index;
mod keys;
mod link;
mod lister;
mod locker;
mod record;
mod scripts;
#[cfg(feature = "sentinel")]
mod sentinel;
mod store;
#[cfg(feature = "tls-rustls")]
mod tls;
mod work;
mod write;

pub use self::config::RedisConfig;
pub use self::factory::RedisFactory;
pub use self::handler::RedisHandler;
/// The driver, so that [`RedisHandler::from_client`] and you agree on its version.
pub use redis;
