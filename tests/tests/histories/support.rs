//! Histories written by hand.

use session_tests::history::checkers::Violation;
use session_tests::history::model::Tolerance;
use session_tests::history::{Answer, Call, Data, End, Lineage, Operation};

/// The session that all are about.
pub(crate) const TAG: u64 = 7;
/// A millisecond, in nanoseconds.
pub(crate) const MS: u64 = 1_000_000;
/// No time may be off.
pub(crate) const EXACT: Tolerance = Tolerance { lifetimes: 0, clocks_differ: false };

/// Writes a history, call by call.
#[derive(Default)]
pub(crate) struct Story(Lineage);

impl Story {
    /// Begins with a session that lives for so many milliseconds unused, under the id `a`.
    pub(crate) fn of(idle: u64) -> Self {
        let story = Self(Lineage { number: TAG, operations: Vec::new() });
        let call = Call::Create { idle, absolute: None };
        story.then(0, 1, call, Answer::Named("a".into()))
    }

    /// Adds a call that was answered, from one millisecond to another.
    pub(crate) fn then(self, from: u64, to: u64, call: Call, answer: Answer) -> Self {
        self.ended(from, to * MS, call, End::Ok(answer))
    }

    /// Adds a call that may have happened.
    pub(crate) fn maybe(self, from: u64, call: Call) -> Self {
        self.ended(from, u64::MAX, call, End::Info("timeout".into()))
    }

    fn ended(mut self, from: u64, to: u64, call: Call, end: End) -> Self {
        let op = self.0.operations.len() as u64 + 1;
        self.0.operations.push(Operation { op, worker: 1, call, end, from: from * MS, to });
        self
    }

    pub(crate) fn lineage(&self) -> &Lineage {
        &self.0
    }

    /// Expects that a checker and the search agree: all is well, or it is not.
    #[expect(clippy::needless_pass_by_value, reason = "so that a check can stand in the call")]
    pub(crate) fn is(&self, right: bool, checked: Option<Violation>) {
        assert_eq!(checked.is_none(), right, "{checked:?}");
        let linear = session_tests::history::checkers::linear::check(&self.0, EXACT);
        assert_eq!(linear.is_ok(), right, "{linear:?}");
    }
}

pub(crate) fn a() -> String {
    "a".into()
}

pub(crate) fn load(id: &str) -> Call {
    Call::Load { id: id.into() }
}

pub(crate) fn merge(item: u64) -> Call {
    Call::Merge { id: a(), item }
}

pub(crate) fn destroy() -> Call {
    Call::Destroy { id: a() }
}

pub(crate) fn regenerate() -> Call {
    Call::Regenerate { id: a() }
}

pub(crate) fn found(writes: u64, items: &[u64], counter: u64) -> Answer {
    Answer::Found(Data { tag: TAG, writes, value: 0, items: items.to_vec(), counter })
}
