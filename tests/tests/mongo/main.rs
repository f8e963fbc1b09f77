//! The MongoDB engine on real servers.

mod conformance;
mod support;
