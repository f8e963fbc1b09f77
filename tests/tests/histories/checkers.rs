//! Each checker, on histories that are right and on histories that are wrong.

use session_tests::history::checkers::recovery::Recovery;
use session_tests::history::checkers::{
    collection, counter, deadlines, destroy as ending, exclusion, expiry, ids, items, linear,
    monotonic, recovery, tags,
};
use session_tests::history::model::Tolerance;
use session_tests::history::{
    Answer, Call, Data, End, Fault, History, Lineage, Operation, WORKER_BITS,
};

use crate::support::{EXACT, MS, Story, TAG, a, destroy, found, load, merge, regenerate};

const LONG: u64 = 600_000;

#[test]
fn a_save_from_a_stale_version_is_a_conflict_and_nothing_else() {
    let save = |at, value| Call::Save { id: a(), at, value };
    let story = |answer| {
        Story::of(LONG).then(2, 3, save(1, 5), Answer::Done).then(4, 5, save(1, 6), answer)
    };
    assert!(linear::check(story(Answer::Conflict).lineage(), EXACT).is_ok());
    assert!(linear::check(story(Answer::Done).lineage(), EXACT).is_err());
}

#[test]
fn calls_that_overlap_may_have_happened_in_either_order() {
    let story = |from| {
        Story::of(LONG).then(2, 9, merge(1), Answer::Done).then(
            from,
            12,
            load("a"),
            found(1, &[], 0),
        )
    };
    assert!(linear::check(story(8).lineage(), EXACT).is_ok());
    assert!(linear::check(story(10).lineage(), EXACT).is_err());
}

#[test]
fn what_has_expired_stays_so_unless_clocks_differ() {
    let differ = |lifetimes| Tolerance { lifetimes, clocks_differ: true };
    let story = |expired, seen| {
        let story = Story::of(100).then(expired, expired + 1, load("a"), Answer::Gone);
        story.then(seen, seen + 1, load("a"), found(1, &[], 0))
    };
    for (expired, seen, tolerance, right) in [
        (100, 102, Tolerance { clocks_differ: false, ..differ(20 * MS) }, false),
        (100, 102, differ(20 * MS), true),
        (82, 119, differ(20 * MS), true),
        (70, 102, differ(20 * MS), false),
        (100, 130, differ(20 * MS), false),
    ] {
        let story = story(expired, seen);
        assert_eq!(linear::check(story.lineage(), tolerance).is_ok(), right, "{expired} {seen}");
    }
}

#[test]
fn where_clocks_differ_a_session_that_may_have_expired_need_not_be_ended() {
    let tolerance = Tolerance { lifetimes: 20 * MS, clocks_differ: true };
    for (ended, right) in [(70, false), (85, true)] {
        let story = Story::of(100).then(ended, ended + 1, destroy(), Answer::Done);
        let story = story.then(90, 91, load("a"), found(1, &[], 0));
        assert_eq!(linear::check(story.lineage(), tolerance).is_ok(), right, "{ended}");
        assert_eq!(ending::check(story.lineage(), tolerance).is_none(), right, "{ended}");
        assert!(ending::check(story.lineage(), EXACT).is_some());
    }
}

#[test]
fn what_may_have_happened_may_happen_once_at_any_time_or_never() {
    let story = |writes, items: &[u64]| {
        Story::of(LONG).maybe(2, merge(1)).then(8, 9, load("a"), found(1, &[], 0)).then(
            10,
            11,
            load("a"),
            found(writes, items, 0),
        )
    };
    assert!(linear::check(story(1, &[]).lineage(), EXACT).is_ok());
    assert!(linear::check(story(2, &[1]).lineage(), EXACT).is_ok());
    assert!(linear::check(story(3, &[1]).lineage(), EXACT).is_err());
}

#[test]
fn nothing_answers_after_an_acknowledged_destroy() {
    let story =
        |answer| Story::of(LONG).then(2, 3, destroy(), Answer::Done).then(4, 5, merge(1), answer);
    for (answer, right) in [(Answer::Gone, true), (Answer::Done, false)] {
        let story = story(answer);
        story.is(right, ending::check(story.lineage(), EXACT));
    }
    let overlapping =
        Story::of(LONG).then(2, 5, destroy(), Answer::Done).then(4, 6, merge(1), Answer::Done);
    overlapping.is(true, ending::check(overlapping.lineage(), EXACT));
}

#[test]
fn a_logout_by_the_old_id_ends_the_session() {
    let story = |answer| {
        Story::of(LONG)
            .then(2, 3, regenerate(), Answer::Named("b".into()))
            .then(4, 5, destroy(), Answer::Done)
            .then(6, 7, load("b"), answer)
    };
    for (answer, right) in [(Answer::Gone, true), (found(2, &[], 0), false)] {
        let story = story(answer);
        story.is(right, ending::check(story.lineage(), EXACT));
    }
}

#[test]
fn nothing_answers_after_the_lifetime() {
    let story = |from, to| Story::of(100).then(from, to, load("a"), found(1, &[], 0));
    for (from, to, right) in [(99, 100, true), (101, 120, true), (102, 120, false)] {
        let story = story(from, to);
        story.is(right, expiry::check(story.lineage(), EXACT));
    }
    let touched = Story::of(100)
        .then(50, 51, Call::Touch { id: a(), idle: 100 }, Answer::Done)
        .then(149, 150, load("a"), found(1, &[], 0));
    touched.is(true, expiry::check(touched.lineage(), EXACT));
}

#[test]
fn a_living_session_is_found() {
    let story = |from, to| Story::of(100).then(from, to, load("a"), Answer::Gone);
    for (from, to, right) in [(50, 60, false), (90, 101, true)] {
        let story = story(from, to);
        story.is(right, collection::check(story.lineage(), EXACT));
    }
    let destroyed = Story::of(100).maybe(2, destroy()).then(50, 60, load("a"), Answer::Gone);
    destroyed.is(true, collection::check(destroyed.lineage(), EXACT));
}

#[test]
fn every_acknowledged_item_is_there_at_the_end_and_no_other() {
    let story = |writes, last: &[u64]| {
        Story::of(LONG).then(2, 3, merge(1), Answer::Done).maybe(4, merge(2)).then(
            8,
            9,
            load("a"),
            found(writes, last, 0),
        )
    };
    for (writes, last, right) in
        [(2, &[1][..], true), (3, &[1, 2], true), (2, &[2], false), (3, &[1, 3], false)]
    {
        let story = story(writes, last);
        story.is(right, items::check(story.lineage()));
    }
}

#[test]
fn the_counter_is_from_what_was_acknowledged_to_what_was_tried() {
    let increment = || Call::Increment { id: a() };
    let story = |writes, counter| {
        Story::of(LONG).then(2, 3, increment(), Answer::Done).maybe(4, increment()).then(
            8,
            9,
            load("a"),
            found(writes, &[], counter),
        )
    };
    for (writes, counted, right) in [(2, 1, true), (3, 2, true), (1, 0, false), (4, 3, false)] {
        let story = story(writes, counted);
        story.is(right, counter::check(story.lineage()));
    }
}

#[test]
fn one_id_at_a_time_can_write() {
    let renamed = |to: &str| Answer::Named(to.into());
    let twice = Story::of(LONG).then(2, 5, regenerate(), renamed("b")).then(
        3,
        6,
        regenerate(),
        renamed("c"),
    );
    twice.is(false, ids::check(twice.lineage()));
    let late = |answer| {
        Story::of(LONG).then(2, 3, regenerate(), renamed("b")).then(4, 5, merge(1), answer)
    };
    for (answer, right) in [(Answer::Gone, true), (Answer::Done, false)] {
        let story = late(answer);
        story.is(right, ids::check(story.lineage()));
    }
    let copied =
        Story::of(LONG).then(2, 3, destroy(), Answer::Done).then(4, 5, merge(1), renamed("b"));
    copied.is(false, ids::check(copied.lineage()));
}

#[test]
fn nobody_sees_a_session_as_it_was_before() {
    let story = |second| {
        Story::of(LONG)
            .then(2, 9, merge(1), Answer::Done)
            .then(3, 4, load("a"), found(2, &[1], 0))
            .then(5, 6, load("a"), second)
    };
    for (second, right) in [(found(2, &[1], 0), true), (found(1, &[], 0), false)] {
        let story = story(second);
        story.is(right, monotonic::check(story.lineage()));
    }
}

#[test]
fn a_deadline_never_moves_back_and_is_never_missing() {
    let look = || Call::Look { id: a() };
    let story = |left| {
        Story::of(1000).then(10, 11, look(), Answer::Left(Some(991))).then(
            20,
            21,
            look(),
            Answer::Left(left),
        )
    };
    for (left, right) in [(Some(981), true), (Some(500), false), (Some(1500), false), (None, false)]
    {
        let story = story(left);
        story.is(right, deadlines::check(story.lineage(), EXACT));
    }
}

#[test]
fn nobody_is_shown_another_session_or_let_in_by_an_altered_id() {
    let other = Answer::Found(Data { tag: TAG + 1, writes: 1, ..Data::default() });
    for (call, answer, right) in [
        (load("a"), found(1, &[], 0), true),
        (load("a"), other, false),
        (Call::Stranger { id: a() }, Answer::Gone, true),
        (Call::Stranger { id: a() }, found(1, &[], 0), false),
    ] {
        let story = Story::of(LONG).then(2, 3, call, answer);
        assert_eq!(tags::check(story.lineage()).is_none(), right);
    }
}

fn operation(op: u64, from: u64, to: u64, call: Call, answer: Answer) -> Operation {
    Operation { op, worker: 1, call, end: End::Ok(answer), from: from * MS, to: to * MS }
}

#[test]
fn a_lock_has_one_holder_at_a_time() {
    let lock = |op, from, to, token| {
        operation(op, from, to, Call::Lock { lock: 1, lease: 100 }, Answer::Granted(token))
    };
    let unlock = operation(3, 5, 6, Call::Unlock { lock: 1, token: 1 }, Answer::Done);
    let check = |operations: &[Operation]| exclusion::check(operations, EXACT);
    assert!(check(&[lock(1, 0, 1, 1), lock(2, 8, 9, 2)]).is_some());
    assert!(check(&[lock(1, 0, 1, 1), unlock, lock(2, 8, 9, 2)]).is_none());
    assert!(check(&[lock(1, 0, 1, 1), lock(2, 101, 102, 2)]).is_none());
}

/// A history of calls by processes, each from one moment to another and answered or not.
fn after_faults(faults: &[(u64, u64)], calls: &[(u32, u64, u64, bool)]) -> Vec<Recovery> {
    let operations = calls.iter().zip(1..).map(|(&(process, from, to, answered), op)| Operation {
        end: if answered { End::Ok(Answer::Gone) } else { End::Fail("timeout".into()) },
        worker: process << WORKER_BITS,
        ..operation(op, from, to, load("a"), Answer::Gone)
    });
    let fault = |&(from, to)| Fault { name: "kill".into(), from: from * MS, to: to * MS };
    recovery::recoveries(&History {
        lineages: vec![Lineage { number: TAG, operations: operations.collect() }],
        others: Vec::new(),
        faults: faults.iter().map(fault).collect(),
    })
}

#[test]
fn recovery_counts_from_the_end_of_a_fault_to_the_first_answer_to_a_later_call() {
    let calls = [(1, 5, 30, true), (1, 25, 32, true), (1, 41, 42, false)];
    let recovered = after_faults(&[(2, 20), (30, 40), (50, 60)], &calls);
    let after: Vec<_> = recovered.iter().map(|recovery| recovery.after).collect();
    assert_eq!(after, [Some(12 * MS), None], "nobody asked after the last fault");
    assert_eq!(recovered[1].tried, MS);
}

#[test]
fn a_process_is_answered_soon_after_a_fault_or_has_not_asked_for_long() {
    let wrong = |calls: &[(u32, u64, u64, bool)]| {
        recovery::check(&after_faults(&[(10, 20)], calls), 30 * MS).len()
    };
    let before = (1, 11, 12, true);
    assert_eq!(wrong(&[before, (1, 21, 50, true)]), 0);
    assert_eq!(wrong(&[before, (1, 21, 51, true)]), 1, "too late");
    assert_eq!(wrong(&[before, (1, 11, 21, true), (1, 50, 51, false)]), 0, "the run ended");
    assert_eq!(wrong(&[before, (1, 11, 21, true), (1, 51, 52, false)]), 1, "never");
    assert_eq!(wrong(&[(2, 11, 12, true), (1, 21, 22, true), (2, 51, 52, false)]), 1, "for one");
    assert_eq!(wrong(&[(1, 80, 90, true)]), 0, "a process that began later");
}
