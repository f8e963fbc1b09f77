//! The HTTP cases, against the probe application and against small routers.
//!
//! `cases.tsv` says which test holds which case.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[macro_use]
mod macros;
mod home;
mod in_process;
mod site;
mod target;

mod acceptance;
mod client;
mod concurrency;
mod cookies;
mod creation;
mod expiry;
mod faults;
mod locks;
mod options;
mod reading;
mod response;
mod rotation;
mod table;
