#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod call;
mod client;
mod codes;
mod config;
mod connection;
mod destroy;
mod error;
mod factory;
mod handler;
mod index;
mod lister;
mod locker;
mod param;
mod pool;
mod record;
mod schema;
mod sql;
mod store;
mod sweep;
mod table;
mod url;
mod write;

pub use config::{MysqlConfig, Schema};
pub use factory::MysqlFactory;
pub use handler::MysqlHandler;
/// The driver, for [`MysqlHandler::from_pool`].
pub use sqlx;
