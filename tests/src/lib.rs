//! What the tests over HTTP stand on: a client with a cookie jar that behaves
//! like a browser's, the probe application as a child process, real servers,
//! and a proxy that breaks connections to them.

mod client;
pub mod files;
pub mod history;
mod jar;
mod jar_client;
pub mod mutants;
mod page;
mod process;
pub mod proxy;
mod reply;
pub mod servers;
pub mod simulation;
mod webdriver;
pub mod workload;

pub use client::{Client, NoReply};
pub use jar::{Jar, Place, Taken};
pub use jar_client::JarClient;
pub use page::Page;
pub use process::Probe;
pub use reply::Reply;
pub use webdriver::Chromium;

/// What the project's first page shows compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
