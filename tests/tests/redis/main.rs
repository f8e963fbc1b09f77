//! The Redis engine on real servers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod acks;
mod cancellation;
mod cluster;
mod conformance;
mod costs;
mod false_nodes;
mod faults;
mod index;
mod outages;
mod records;
mod refusals;
mod scripts;
mod sentinel;
mod states;
mod support;
mod tls;
mod tls_cluster;
mod tls_sentinel;
