//! What the other tests believe of the servers that they start.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod groups;
mod program;
mod proxy;
mod servers;
