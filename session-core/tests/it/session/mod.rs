//! The session object, its manager, and the rules of a save.

// Helpers outside of test functions unwrap too.
#![allow(clippy::unwrap_used)]

mod commit;
mod cost;
mod data;
mod destroy;
mod exclusive;
mod expiry;
mod formats;
mod gc;
mod model;
mod outage;
mod owners;
mod races;
mod rotation;
mod secrecy;
mod support;
mod watch;
