//! MongoDB.

mod replica_set;
mod single;

pub use self::replica_set::{MongoReplicaSet, MongoReplicaSetBuilder};
pub use self::single::{Mongo, MongoBuilder};
