//! Histories of sessions: what workers asked of a store, what they were
//! answered, and whether a store that keeps its promises can have answered so.
//!
//! A [`Recorder`] writes each call when it begins and when it ends. [`read`]
//! puts the lines of all processes together into operations, one list for each
//! [`Lineage`]: a session with all the ids it had. [`check`](checkers::check)
//! holds them against the [`model`].

pub mod checkers;
mod clock;
mod event;
pub mod model;
mod read;
mod recorder;
pub mod search;

pub use self::clock::now;
pub use self::event::{Answer, Call, Data, End, Event, Line};
pub use self::read::{Fault, History, Lineage, Operation, WORKER_BITS, read};
pub use self::recorder::{Pending, Recorder};
