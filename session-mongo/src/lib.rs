#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod call;
mod client;
mod clock;
mod codes;
mod config;
mod destroy;
mod encoder;
mod error;
mod factory;
mod handler;
mod index;
mod lister;
mod locker;
mod record;
mod reply;
mod schema;
mod store;
mod sweep;
mod update;
mod uri;
mod write;

pub use config::{Indexes, MongoConfig};
pub use factory::MongoFactory;
pub use handler::MongoHandler;
/// The driver, so that [`MongoHandler::from_database`] and you agree on its version.
pub use mongodb;
