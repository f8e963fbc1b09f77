//! Losses are counted by what the checkers find.

use session_tests::history::checkers::losses::{Losses, losses};
use session_tests::history::{Answer, History};

use crate::support::{EXACT, Story, destroy, found, load, merge};

fn count(story: &Story) -> Losses {
    let history = History { lineages: vec![story.lineage().clone()], ..History::default() };
    losses(&history, EXACT)
}

fn merged() -> Story {
    Story::of(1000)
        .then(1, 2, merge(1), Answer::Done)
        .then(2, 3, merge(2), Answer::Done)
        .maybe(3, merge(3))
}

#[test]
fn a_merge_that_was_acknowledged_and_is_not_there_at_the_end_is_lost() {
    let all = count(&merged().then(4, 5, load("a"), found(3, &[1, 2], 0)));
    assert_eq!((all.merges, all.lost_merges, all.any()), (2, 0, false));
    let one = count(&merged().then(4, 5, load("a"), found(2, &[1, 3], 0)));
    assert_eq!((one.merges, one.lost_merges, one.any()), (2, 1, true));
}

#[test]
fn a_session_that_is_not_found_is_lost_with_all_that_was_in_it() {
    let lost = count(&merged().then(4, 5, load("a"), Answer::Gone));
    assert_eq!((lost.sessions, lost.lost_sessions), (1, 1));
    assert_eq!((lost.merges, lost.lost_merges), (2, 2));
}

#[test]
fn a_logout_is_undone_if_the_session_is_seen_again() {
    let ended = || merged().then(4, 5, destroy(), Answer::Done);
    let held = count(&ended().then(6, 7, load("a"), Answer::Gone));
    assert_eq!((held.logouts, held.undone_logouts, held.any()), (1, 0, false));
    let undone = count(&ended().then(6, 7, load("a"), found(3, &[1, 2], 0)));
    assert_eq!((undone.logouts, undone.undone_logouts, undone.any()), (1, 1, true));
}
