//! The contract of every handler.

mod mariadb {
    session_core::conformance! {
        crate::support::handler(session_tests::servers::Shared::MariaDb),
        crate::support::two(session_tests::servers::Shared::MariaDb)
    }
}

mod mysql {
    session_core::conformance! {
        crate::support::handler(session_tests::servers::Shared::MySql),
        crate::support::two(session_tests::servers::Shared::MySql)
    }
}

/// On a pool of sqlx that the application has made.
mod pool {
    session_core::conformance! {
        crate::support::handler_of_pool(session_tests::servers::Shared::MySql)
    }
}
