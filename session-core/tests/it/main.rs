//! Tests of session-core from outside.

mod conformance;
