//! The targets, each for a few seconds, and values at the edge of what fits.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bounded;
mod doubles;
mod values;
