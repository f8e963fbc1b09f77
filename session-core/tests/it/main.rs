//! Tests of session-core from outside.

mod chaos;
mod conformance;
mod doubles;
mod session;
