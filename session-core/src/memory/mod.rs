//! Sessions in the memory of this process: the reference implementation.

mod error;
mod factory;
mod grant;
mod handler;
mod hash;
mod index;
mod lister;
mod locker;
mod record;
mod store;
mod sweep;
#[cfg(test)]
mod tests;

pub use self::factory::MemoryFactory;
pub use self::handler::MemoryHandler;
