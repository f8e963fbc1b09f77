//! MariaDB and MySQL.

mod server;
mod template;

pub use self::server::{Sql, SqlBuilder};
