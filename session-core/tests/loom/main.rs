//! Threads that share sessions inside one process, in every order in which they
//! can take the locks that they share.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" LOOM_MAX_PREEMPTIONS=3 cargo test --release -p session-core --test loom
//! ```
#![cfg(loom)]
#![expect(clippy::unwrap_used, reason = "tests")]

mod handler;
mod session;
mod support;
