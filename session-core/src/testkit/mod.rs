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
//! Two processes on one store must agree, too. A second expression, which gives
//! two handlers on one empty store, adds the cases of [`shared`]:
//!
//! ```
//! # use session_core::MemoryHandler;
//! # async fn two() -> (MemoryHandler, MemoryHandler) {
//! #     let handler = MemoryHandler::new();
//! #     (handler.clone(), handler)
//! # }
//! session_core::conformance! { async { MemoryHandler::new() }, two() }
//! # fn main() {}
//! ```
//!
//! Each test evaluates the expression for a handler of its own and brings its
//! own runtime, so no version of tokio has to match. The expression gives a
//! handler on an **empty store of its own**: a new directory, prefix, table or
//! database. Whatever goes wrong on the way there may panic.
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
pub mod cancellation;
mod chaos;
pub mod concurrency;
pub mod hostile;
pub mod index;
pub mod list;
pub mod lock;
pub mod modes;
mod random;
mod run;
mod schedule;
pub mod shared;
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
            modes {
                a_write_at_the_current_version_is_accepted
                a_write_from_a_stale_version_is_a_conflict
                a_refused_write_leaves_the_lifetime_alone
                each_write_changes_the_version
                a_touch_changes_neither_version_nor_payload
                a_touch_extends_the_lifetime
                a_touch_never_shortens_a_lifetime
                a_touch_never_passes_the_absolute_deadline
                a_write_sets_the_absolute_deadline_anew
                the_earlier_of_both_deadlines_counts
                a_write_of_a_shorter_lifetime_takes_effect
                a_late_write_does_not_bring_a_destroyed_session_back
                a_late_write_does_not_bring_an_expired_session_back
                an_expired_record_counts_as_free
                a_version_does_not_outlive_its_session
                a_session_is_destroyed_only_at_its_version
                an_expired_session_is_not_destroyed
                gc_spares_a_session_that_was_touched
                a_pointer_is_a_record_like_any_other
                a_pointer_is_not_touched
            }
            concurrency {
                of_parallel_creations_one_wins
                of_parallel_writes_from_one_version_one_wins
                of_parallel_creations_over_an_expired_record_one_wins
                parallel_increments_all_count
                a_racing_write_does_not_undo_a_destruction
                a_racing_touch_does_not_undo_a_destruction
                a_racing_touch_does_not_undo_a_write
                of_parallel_destructions_one_is_true
                of_a_write_and_a_destruction_from_one_version_one_wins
                a_racing_gc_never_removes_what_was_touched
                a_racing_gc_never_removes_a_successor
                readers_see_whole_payloads_in_their_order
                parallel_writers_never_mix_their_payloads
                parallel_sessions_do_not_mix
            }
            cancellation {
                a_dropped_read_leaves_the_session_alone
                a_dropped_creation_happens_wholly_or_not
                a_dropped_write_happens_wholly_or_not
                a_dropped_conditional_write_happens_wholly_or_not
                a_dropped_touch_leaves_the_payload_alone
                a_dropped_destruction_happens_wholly_or_not
                a_dropped_write_does_not_undo_a_destruction
                a_dropped_gc_can_be_repeated
                a_dropped_lock_becomes_free
            }
            hostile {
                keys_that_differ_in_one_bit_are_different
                keys_have_no_case_blank_or_separator
                a_lifetime_of_zero_is_over_at_once
                a_touch_for_no_time_leaves_the_lifetime_alone
                the_longest_lifetime_does_not_overflow
                parts_of_a_second_are_a_lifetime
                owners_are_compared_byte_for_byte
                errors_give_away_neither_key_nor_payload
                refusals_are_not_indeterminate
            }
            lock {
                a_lock_has_one_holder
                of_parallel_attempts_one_gets_the_lock
                only_the_holder_frees_a_lock
                a_lock_passes_on_when_its_lease_is_over
                a_renewed_lock_is_kept
                grants_are_numbered_upwards
                a_late_writer_is_fenced_off
                the_holder_writes_under_its_lock
                a_lock_keeps_nobody_from_the_session
                gc_leaves_held_locks_alone
            }
            list {
                an_empty_store_lists_nothing
                every_session_is_on_one_page
                thousands_of_sessions_are_listed_in_pages
                a_listing_bears_changes_meanwhile
                only_live_sessions_are_listed
                a_listing_tells_owner_and_times
                a_cursor_goes_through_text
                a_forged_cursor_does_no_harm
            }
            index {
                an_unknown_owner_has_no_sessions
                the_index_follows_writes
                the_index_follows_destruction
                the_index_follows_expiry
                the_index_follows_touches
                pointers_are_not_in_the_index
                an_owners_sessions_come_in_pages
                revoking_ends_all_sessions_of_an_owner
                revoking_spares_the_exception
                a_session_that_changes_its_id_is_revoked
                a_racing_write_does_not_undo_a_revocation
                a_cap_ends_the_oldest_sessions
                a_cap_spares_the_session_to_keep
                a_cap_counts_live_sessions_only
            }
        }
    };
}

/// Tests a handler: one `#[test]` per case of the kit, named like the case.
///
/// Takes an expression that gives a future of a handler on an empty store, and
/// after a comma another one, which may be left out, that gives a future of two
/// handlers on one empty store. See the [module](mod@crate::testkit).
#[macro_export]
macro_rules! conformance {
    ($make:expr $(,)?) => {
        $crate::__cases! { __conformance { $make } }
    };
    ($make:expr, $two:expr $(,)?) => {
        $crate::conformance! { $make }
        $crate::__conformance_of_two! {
            { $two }
            what_one_handler_writes_the_other_reads
            a_key_is_created_once_by_either_handler
            a_write_by_one_handler_makes_the_others_version_stale
            a_touch_by_one_handler_is_seen_by_the_other
            a_session_expires_for_both_handlers
            a_session_that_one_handler_destroys_is_gone_for_the_other
            both_handlers_count_the_same_sessions
            a_lock_of_one_handler_is_held_against_the_other
            a_handler_works_after_the_other_is_dropped
            a_handler_dropped_with_calls_in_flight_loses_nothing
        }
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

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_of_two {
    ({ $two:expr } $($case:ident)+) => {$(
        #[test]
        fn $case() {
            $crate::testkit::run(async {
                let (first, second) = $two.await;
                $crate::testkit::shared::$case(first, second).await;
            });
        }
    )+};
}
