#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod config;
mod destroy;
mod error;
mod factory;
mod handler;
mod index;
mod io;
mod layout;
mod lister;
mod locker;
mod plain;
mod record;
mod save_path;
mod shard;
mod store;
mod sweep;
mod temp;
mod write;

pub use config::{Durability, FileConfig};
pub use factory::FileFactory;
pub use handler::FileHandler;
