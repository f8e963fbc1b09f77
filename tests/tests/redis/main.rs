//! The Redis engine on real servers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod acks;
mod cancellation;
mod cluster;
mod conformance;
mod counts;
mod faults;
mod here;
mod index;
mod login;
mod outages;
mod records;
mod refusals;
mod scripts;
mod sentinel;
mod states;
mod tls;
mod tls_cluster;
mod tls_sentinel;
