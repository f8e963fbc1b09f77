//! The MongoDB engine on real servers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod cancellation;
mod clocks;
mod conformance;
mod costs;
mod documents;
mod failover;
mod failpoints;
mod indexes;
mod outages;
mod revocation;
mod site;
mod support;
