//! The contract of every handler.

mod single {
    session_core::conformance! {
        crate::support::shared(session_tests::servers::Shared::MongoDb),
        crate::support::two(session_tests::servers::Shared::MongoDb)
    }
}

mod replica_set {
    session_core::conformance! {
        crate::support::shared(session_tests::servers::Shared::MongoDbReplicaSet),
        crate::support::two(session_tests::servers::Shared::MongoDbReplicaSet)
    }
}
