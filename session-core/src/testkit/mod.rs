//! Conformance tests for handlers, and wrappers that make handlers misbehave.
//!
//! Three lines test a handler. They become one `#[test]` per case, named like
//! the case:
//!
//! ```
//! # use session_core::MemoryHandler;
//! session_core::conformance! { async { MemoryHandler::new() } }
//! # fn main() {}
//! ```
//!
//! Each test evaluates the expression for a handler of its own and brings its
//! own runtime, so no version of tokio has to match. The expression gives a
//! [`SessionHandler`] on an **empty store of its own**: a new directory, prefix,
//! table or database. Whatever goes wrong on the way there may panic.
//!
//! The cases are public functions, usable alone; [`cases`] lists them all. Those
//! about a capability pass if the handler does not have it.
//!
//! Time is the store's own and really passes: cases wait for short lifetimes to
//! end, and allow for a clock as coarse as [`GRAIN`]. None fails because the
//! machine is slow.
//!
//! Not covered by semver: a patch release may add a case that your handler fails.

pub mod basic;
mod chaos;
mod random;
mod run;
mod schedule;
mod support;

pub use self::chaos::{Chaos, Counts, Hold};
pub use self::random::ScriptedRandom;
pub use self::run::{Case, cases, failures, run};
pub use self::support::GRAIN;

/// Hands the table of cases to another macro of this crate, after its arguments.
///
/// The one place where the cases are listed.
#[doc(hidden)]
#[macro_export]
macro_rules! __cases {
    ($then:ident $($args:tt)*) => {
        $crate::$then! {
            $($args)*
            basic {
                opening_twice_is_harmless
                a_missing_session_is_none_and_not_an_error
                what_is_created_is_read_back
                a_key_is_created_once
                nothing_is_written_under_a_missing_key
                a_write_replaces_payload_and_lifetime
                touching_a_missing_session_creates_nothing
                destroying_a_missing_session_is_false
                a_destroyed_session_is_gone
                an_expired_session_is_gone_before_it_is_collected
                gc_removes_what_expired_and_spares_the_living
                gc_goes_on_where_its_limit_stopped_it
                a_lifetime_ends_neither_early_nor_late
                the_remaining_lifetime_is_right
                an_empty_payload_is_a_session
                payloads_come_back_byte_for_byte
                a_mebibyte_is_a_session
            }
        }
    };
}

/// Tests a handler: one `#[test]` per case of the kit, named like the case.
///
/// Takes an expression that gives a future of a handler on an empty store. See
/// the [module](mod@crate::testkit).
#[macro_export]
macro_rules! conformance {
    ($make:expr) => {
        $crate::__cases! { __conformance { $make } }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance {
    ({ $make:expr } $($theme:ident { $($case:ident)+ })+) => {$($(
        #[test]
        fn $case() {
            $crate::testkit::run(async {
                let handler = $make.await;
                $crate::testkit::$theme::$case(&handler).await;
            });
        }
    )+)+};
}
