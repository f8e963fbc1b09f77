//! Redis and Valkey.

mod cluster;
mod connect;
mod sentinel;
mod single;

pub use self::cluster::{RedisCluster, RedisClusterBuilder};
pub use self::connect::redis_connection;
pub use self::sentinel::{RedisSentinel, RedisSentinelBuilder};
pub use self::single::{Redis, RedisBuilder};
