//! Sessions on a simulated store: one thread, and a seed that decides who goes
//! next, what fails, what is late and what is lost.
//!
//! The workers, the session manager and the checkers are the real ones. The
//! store is the memory engine behind a network that does all that networks do.
//! A seed gives the same history every time.

mod network;
mod scheduler;
mod world;

pub use self::network::{Network, Weather};
pub use self::scheduler::Scheduler;
pub use self::world::{Outcome, Parts, Wrap, simulate, simulate_with};
