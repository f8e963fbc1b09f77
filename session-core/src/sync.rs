//! The mutexes around what threads share.
//!
//! With `--cfg loom` they are loom's, which tries every order in which threads
//! can take them: see `tests/loom`.

#[cfg(loom)]
pub(crate) use loom::sync::{Mutex, MutexGuard};
#[cfg(not(loom))]
pub(crate) use std::sync::{Mutex, MutexGuard};
