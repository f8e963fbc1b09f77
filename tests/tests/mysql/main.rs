//! The MySQL engine on real servers.

#[macro_use]
mod support;

mod access;
mod cancellation;
mod conformance;
mod connections;
mod contention;
mod costs;
mod crash;
mod cuts;
mod schema;
mod settings;
mod site;
