//! The integration, driven as a tower service over the memory engine.

#[cfg(feature = "axum")]
mod axum_extractors;
mod bodies;
mod cookies;
mod failures;
mod several;
mod support;
mod transports;
