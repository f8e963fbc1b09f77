//! The conformance kit on every kind of server, and by both protocols.

macro_rules! on {
    ($name:ident, $server:ident, $options:literal) => {
        mod $name {
            use session_tests::servers::Shared;

            session_core::conformance! {
                crate::support::shared(Shared::$server, $options),
                crate::support::two(Shared::$server, $options),
            }
        }
    };
}

on!(redis, Redis, "");
on!(redis_by_resp3, Redis, "protocol=resp3");
on!(valkey, Valkey, "");
on!(valkey_by_resp3, Valkey, "protocol=resp3");
on!(cluster, RedisCluster, "");
on!(cluster_in_one_slot, RedisCluster, "session.prefix={kit}");
on!(sentinel, RedisSentinel, "");
on!(sentinel_with_acks, RedisSentinel, "session.min_replica_acks=1&session.replica_timeout=10");
