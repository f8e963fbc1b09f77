//! The file engine from outside: what lies on the disk, what goes wrong there,
//! and several handlers at work on one directory.

#![allow(clippy::unwrap_used)]

mod conformance;
mod durability;
mod hostile;
mod index;
mod races;
mod resources;
mod save_path;
mod support;
mod sweep;
