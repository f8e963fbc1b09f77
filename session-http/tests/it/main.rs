//! The integration, driven as a tower service over the memory engine.

#![expect(clippy::unwrap_used, reason = "a test that fails may panic anywhere")]

#[cfg(feature = "axum")]
mod axum_extractors;
mod bodies;
mod cookies;
#[cfg(all(feature = "axum", feature = "file"))]
mod examples;
mod failures;
#[path = "../../examples/own_handler/my_handler.rs"]
mod my_handler;
mod own_handler;
mod several;
mod support;
mod transports;
