//! What strangers send, what must not be told, and the table of scenarios.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod browser;
mod cookies;
mod deadlines;
mod leaks;
mod limits;
mod site;
mod table;
