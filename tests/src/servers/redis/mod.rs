//! Redis and Valkey.

mod cluster;
mod sentinel;
mod single;

pub use self::cluster::{RedisCluster, RedisClusterBuilder};
pub use self::sentinel::{RedisSentinel, RedisSentinelBuilder};
pub use self::single::{Redis, RedisBuilder};
