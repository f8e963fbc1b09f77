//! The checkers of histories, the simulation, and the mistakes that must be caught.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

mod checkers;
mod losses;
mod merge;
mod mutants;
mod records;
mod search;
mod simulation;
mod site;
