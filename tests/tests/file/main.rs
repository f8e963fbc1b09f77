//! The file engine on machines that fail. Needs root, strace and e2fsprogs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod doubles;
mod faults;
mod hung;
mod many;
mod names;
mod owners;
mod power;
mod restarts;
mod support;
mod versions;
