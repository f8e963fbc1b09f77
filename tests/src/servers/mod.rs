//! The servers that tests speak to.

mod shared;

pub use self::shared::Shared;
