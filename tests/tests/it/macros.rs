//! One test per case and target.

/// Each case on every store, and on the model engine in two processes.
macro_rules! cases {
    ($($(#[$doc:meta])* async fn $name:ident($target:ident) $body:block)*) => {
        $($crate::tests_of!($(#[$doc])* $name $target $body:
            memory = MEMORY, file = FILE, redis = REDIS, valkey = VALKEY,
            redis_cluster = REDIS_CLUSTER, redis_sentinel = REDIS_SENTINEL,
            mariadb = MARIADB, mysql = MYSQL, mongodb = MONGODB, replica_set = REPLICA_SET,
            file_in_two_processes = FILE_IN_TWO_PROCESSES);)*
    };
}

/// Cases about one process, or about its memory.
macro_rules! cases_in_one_process {
    ($($(#[$doc:meta])* async fn $name:ident($target:ident) $body:block)*) => {
        $($crate::tests_of!($(#[$doc])* $name $target $body:
            memory = MEMORY, file = FILE, redis = REDIS, valkey = VALKEY,
            redis_cluster = REDIS_CLUSTER, redis_sentinel = REDIS_SENTINEL,
            mariadb = MARIADB, mysql = MYSQL, mongodb = MONGODB, replica_set = REPLICA_SET);)*
    };
}

/// Cases about several processes, or about requests that meet.
macro_rules! cases_in_two_processes {
    ($($(#[$doc:meta])* async fn $name:ident($target:ident) $body:block)*) => {
        $($crate::tests_of!($(#[$doc])* $name $target $body:
            file_in_two_processes = FILE_IN_TWO_PROCESSES,
            redis_in_two_processes = REDIS_IN_TWO_PROCESSES,
            valkey_in_two_processes = VALKEY_IN_TWO_PROCESSES,
            redis_cluster_in_two_processes = REDIS_CLUSTER_IN_TWO_PROCESSES,
            redis_sentinel_in_two_processes = REDIS_SENTINEL_IN_TWO_PROCESSES,
            mariadb_in_two_processes = MARIADB_IN_TWO_PROCESSES,
            mysql_in_two_processes = MYSQL_IN_TWO_PROCESSES,
            mongodb_in_two_processes = MONGODB_IN_TWO_PROCESSES,
            replica_set_in_two_processes = REPLICA_SET_IN_TWO_PROCESSES);)*
    };
}

#[macro_export]
#[doc(hidden)]
macro_rules! tests_of {
    ($(#[$doc:meta])* $name:ident $target:ident $body:block: $($test:ident = $on:ident),*) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            $(#[$doc])*
            async fn case($target: $crate::target::Target) $body

            $(
                #[tokio::test]
                async fn $test() {
                    case($crate::target::Target::$on).await;
                }
            )*
        }
    };
}
