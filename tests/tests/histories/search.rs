//! The search for an order, beside another one.

use proptest::prelude::*;
use session_tests::history::search::{Interval, Object, Verdict, search};
use todc_utils::linearizability::{
    WGLChecker,
    history::{Action, History},
};
use todc_utils::specifications::Specification;

/// What is done to a register, and what it was answered.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Register {
    Write(u8),
    Read(u8),
    Swap(u8, u8),
}

impl Register {
    fn apply(self, state: u8) -> Option<u8> {
        match self {
            Self::Write(new) => Some(new),
            Self::Read(seen) => (seen == state).then_some(state),
            Self::Swap(seen, new) => (seen == state).then_some(new),
        }
    }
}

struct Ours(Vec<Register>);

impl Object for Ours {
    type State = u8;

    fn initial(&self) -> u8 {
        0
    }

    fn step(&self, state: &u8, operation: usize, next: &mut Vec<u8>) {
        next.extend(self.0[operation].apply(*state));
    }
}

struct Theirs;

impl Specification for Theirs {
    type State = u8;
    type Operation = Register;

    fn init() -> u8 {
        0
    }

    fn apply(operation: &Register, state: &u8) -> (bool, u8) {
        let next = operation.apply(*state);
        (next.is_some(), next.unwrap_or(*state))
    }
}

/// Asks the other search. It knows no open calls: some subset of them happened,
/// at the end at the latest.
fn theirs(operations: &[Register], intervals: &[Interval]) -> bool {
    let open: Vec<_> = (0..operations.len()).filter(|at| intervals[*at].1 == u64::MAX).collect();
    (0..1_u32 << open.len()).any(|subset| {
        let happened = |at: usize| {
            open.iter().position(|o| *o == at).is_none_or(|bit| subset & (1 << bit) != 0)
        };
        let mut moments = Vec::new();
        for (at, (from, to)) in intervals.iter().enumerate().filter(|(at, _)| happened(*at)) {
            moments.push((*from, 0, at, Action::Call(operations[at])));
            moments.push((*to, 1, at, Action::Response(operations[at])));
        }
        moments.sort_by_key(|(when, end, at, _)| (*when, *end, *at));
        let actions: Vec<_> = moments.into_iter().map(|(_, _, at, action)| (at, action)).collect();
        actions.is_empty() || WGLChecker::<Theirs>::is_linearizable(History::from_actions(actions))
    })
}

fn call() -> impl Strategy<Value = (Register, u64, u64, bool)> {
    let register = prop_oneof![
        (0..3_u8).prop_map(Register::Write),
        (0..3_u8).prop_map(Register::Read),
        (0..3_u8, 0..3_u8).prop_map(|(seen, new)| Register::Swap(seen, new)),
    ];
    (register, 0..20_u64, 0..8_u64, prop::bool::weighted(0.2))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn two_searches_agree(calls in prop::collection::vec(call(), 0..9)) {
        let operations: Vec<_> = calls.iter().map(|(register, ..)| *register).collect();
        let intervals: Vec<Interval> = calls
            .iter()
            .map(|(_, from, length, open)| (*from, if *open { u64::MAX } else { from + length }))
            .collect();
        let ours = search(&Ours(operations.clone()), &intervals, 1_000_000);
        prop_assert_eq!(ours == Verdict::Explained, theirs(&operations, &intervals));
        prop_assert_ne!(ours, Verdict::Undecided);
    }
}

#[test]
fn a_search_that_takes_too_long_is_given_up() {
    let operations: Vec<_> = (0..30).map(Register::Write).chain([Register::Read(99)]).collect();
    let intervals: Vec<Interval> = (0..31).map(|_| (0, 1)).collect();
    assert_eq!(search(&Ours(operations), &intervals, 10_000), Verdict::Undecided);
}
