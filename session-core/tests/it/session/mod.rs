//! The session object, its manager, and the rules of a save.

mod commit;
mod destroy;
mod exclusive;
mod outage;
mod owners;
mod rotation;
mod support;
mod watch;
