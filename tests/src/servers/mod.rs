//! Real servers for the tests.
//!
//! Servers that run already are [`Shared`]. A test that kills, stops, starves or
//! reconfigures a server starts its own: [`Redis`], [`RedisCluster`],
//! [`RedisSentinel`], [`Sql`], [`Mongo`] and [`MongoReplicaSet`]. Each listens
//! on a free port of 127.0.0.1, keeps its files in a temporary folder, and ends
//! when it is dropped or when the process that started it ends.

mod clock;
mod launch;
mod mongo;
mod own;
mod port;
mod process;
pub mod programs;
mod redis;
mod shared;
mod sql;
mod timed;
mod tls;
mod wait;

pub use self::clock::Clock;
pub use self::launch::Running;
pub use self::mongo::{Mongo, MongoBuilder, MongoReplicaSet, MongoReplicaSetBuilder};
pub use self::own::Own;
pub use self::process::Process;
pub use self::redis::{
    Redis, RedisBuilder, RedisCluster, RedisClusterBuilder, RedisSentinel, RedisSentinelBuilder,
    redis_connection,
};
pub use self::shared::Shared;
pub use self::sql::{Sql, SqlBuilder};
pub use self::timed::Timed;
pub use self::tls::{Authority, Certificate};

/// What went wrong with a server, for the person who reads the output of the tests.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The result of the harness's own functions.
pub type Result<T> = std::result::Result<T, Error>;

/// The password of every user that the harness makes. An error or a log that
/// holds it has told a secret.
pub const PASSWORD: &str = "correct-horse-battery";
