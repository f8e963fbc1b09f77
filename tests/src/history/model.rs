//! What a session store that keeps its promises can answer.

use std::collections::HashMap;

use super::search::Object;
use super::{Answer, Call, Data, End, Lineage, Operation};

/// How long after a change of id a logout by the old id certainly ends the
/// session. The pointer lives for 60 s.
const POINTER_LIFE: u64 = 55_000_000_000;

/// How far times may be off.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// How much earlier or later than computed a lifetime may end, in
    /// nanoseconds: the grain of the store's clock, and its offset if there is one.
    pub lifetimes: u64,
    /// Whether the clocks of those who use the store differ: for that long one may
    /// still find what has expired for another.
    pub clocks_differ: bool,
}

impl Default for Tolerance {
    fn default() -> Self {
        Self { lifetimes: 50_000_000, clocks_differ: false }
    }
}

/// Whether the session lives, and under which id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Life {
    Absent,
    /// Under the id of this number.
    Live(usize),
    /// Under the id that this operation drew and told nobody.
    Untold(u64),
    Dead,
}

/// What a session is like between two operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    life: Life,
    writes: u64,
    value: u64,
    /// All items, mixed into one number in which their order plays no part.
    items: u64,
    counter: u64,
    /// Before this it certainly has not expired,
    early: u64,
    /// and after this it certainly has.
    late: u64,
    /// The same for the absolute deadline.
    absolute: (u64, u64),
    /// How much later the store may have it: a write tells what was left when it
    /// was sent.
    delay: u64,
}

/// What the operations of a session are held against.
#[derive(Debug)]
pub struct Model<'a> {
    operations: Vec<&'a Operation>,
    ids: HashMap<&'a str, usize>,
    /// When a change of each id began at the earliest.
    replaced: Vec<u64>,
    /// The idle lifetime, in nanoseconds.
    idle: u64,
    tolerance: Tolerance,
}

impl<'a> Model<'a> {
    /// Takes the operations of a session that mean anything.
    #[must_use]
    pub fn new(lineage: &'a Lineage, tolerance: Tolerance) -> Self {
        let mut model = Self {
            operations: Vec::new(),
            ids: HashMap::new(),
            replaced: Vec::new(),
            idle: 0,
            tolerance,
        };
        for operation in &lineage.operations {
            let needless = match &operation.end {
                End::Ok(_) => false,
                End::Fail(_) => true,
                // A session whose id nobody was told is as good as none.
                End::Info(_) => {
                    operation.call.only_looks() || matches!(operation.call, Call::Create { .. })
                }
            };
            if let Call::Create { idle, .. } = operation.call {
                model.idle = nanos(idle);
            }
            if let End::Ok(Answer::Named(id)) = &operation.end {
                model.know(id);
            }
            if let Some(id) = operation.call.id() {
                let id = model.know(id);
                if matches!(operation.call, Call::Regenerate { .. }) && !needless {
                    model.replaced[id] = model.replaced[id].min(operation.from);
                }
            }
            if !needless {
                model.operations.push(operation);
            }
        }
        model
    }

    fn know(&mut self, id: &'a str) -> usize {
        let next = self.ids.len();
        let number = *self.ids.entry(id).or_insert(next);
        if number == next {
            self.replaced.push(u64::MAX);
        }
        number
    }

    /// Returns the operations that the numbers of [`Object::step`] stand for.
    #[must_use]
    pub fn operations(&self) -> &[&'a Operation] {
        &self.operations
    }

    /// The state after a write.
    fn written(&self, state: &State, operation: &Operation) -> State {
        let writes = state.writes + 1;
        let delay = operation.to - operation.from;
        State { writes, ..self.restarted(&State { delay, ..*state }, operation, self.idle) }
    }

    fn restarted(&self, state: &State, operation: &Operation, idle: u64) -> State {
        let early = operation.from.saturating_add(idle).min(state.absolute.0);
        let absolute = state.absolute.1.saturating_add(state.delay);
        let late = operation.to.saturating_add(idle).min(absolute);
        State { early, late, ..*state }
    }

    fn may_live(&self, state: &State, operation: &Operation) -> bool {
        operation.from <= state.late.saturating_add(self.tolerance.lifetimes)
    }

    fn may_have_expired(&self, state: &State, operation: &Operation) -> bool {
        operation.to >= state.early.saturating_sub(self.tolerance.lifetimes)
    }

    /// What there is after an answer that the session is not there by this id.
    fn gone(&self, state: &State, id: usize, operation: &Operation, next: &mut Vec<State>) {
        if state.life != Life::Live(id) {
            next.push(*state);
        } else if self.may_have_expired(state, operation) {
            next.push(State { life: Life::Dead, ..*state });
            if self.tolerance.clocks_differ {
                next.push(*state);
            }
        }
    }
}

impl Object for Model<'_> {
    type State = State;

    fn initial(&self) -> State {
        State {
            life: Life::Absent,
            writes: 0,
            value: 0,
            items: 0,
            counter: 0,
            early: u64::MAX,
            late: u64::MAX,
            absolute: (u64::MAX, u64::MAX),
            delay: 0,
        }
    }

    fn step(&self, state: &State, number: usize, next: &mut Vec<State>) {
        let operation = self.operations[number];
        let open = operation.is_open();
        let answer = match &operation.end {
            End::Ok(answer) => Some(answer),
            End::Fail(_) | End::Info(_) => None,
        };
        if let Call::Create { absolute, .. } = &operation.call {
            if state.life == Life::Absent
                && let Some(Answer::Named(id)) = answer
            {
                let absolute = absolute.map_or((u64::MAX, u64::MAX), |absolute| {
                    let absolute = nanos(absolute);
                    (operation.from.saturating_add(absolute), operation.to.saturating_add(absolute))
                });
                let life = Life::Live(self.ids[id.as_str()]);
                next.push(self.written(&State { life, absolute, ..*state }, operation));
            }
            return;
        }
        let Some(id) = operation.call.id().map(|id| self.ids[id]) else { return };
        let lives = state.life == Life::Live(id) && self.may_live(state, operation);
        let done = open || answer == Some(&Answer::Done);
        match (&operation.call, answer) {
            (Call::Destroy { .. }, _) if done => {
                next.push(State { life: Life::Dead, ..*state });
                // The pointer that leads from an old id has an end.
                let pointed = operation.to < self.replaced[id].saturating_add(POINTER_LIFE);
                // Nor is there anything to end for one by whose clock it has expired.
                let expired =
                    self.tolerance.clocks_differ && self.may_have_expired(state, operation);
                if (state.life != Life::Live(id) && !pointed) || expired {
                    next.push(*state);
                }
            }
            (Call::Stranger { .. }, Some(Answer::Gone)) => next.push(*state),
            (Call::Look { .. }, Some(Answer::Left(left))) => {
                // An old id has a record too, for a while.
                let fits = left.is_some_and(|left| {
                    let left = nanos(left);
                    let (from, to) = (operation.from + left, operation.to.saturating_add(left));
                    let off = self.tolerance.lifetimes;
                    to.saturating_add(off) >= state.early && from <= state.late.saturating_add(off)
                });
                if state.life != Life::Live(id) || (lives && fits) {
                    next.push(*state);
                }
            }
            (_, Some(Answer::Gone)) => self.gone(state, id, operation, next),
            (Call::Load { .. }, Some(Answer::Found(data))) if lives && state.shows(data) => {
                next.push(*state);
            }
            (Call::Save { at, .. }, Some(Answer::Conflict)) if lives && state.writes != *at => {
                next.push(*state);
            }
            (Call::Save { at, value, .. }, _) if done && lives && state.writes == *at => {
                next.push(State { value: *value, ..self.written(state, operation) });
            }
            (Call::Merge { item, .. }, _) if done && lives => {
                let items = state.items ^ mixed(*item);
                next.push(State { items, ..self.written(state, operation) });
            }
            (Call::Increment { .. }, _) if done && lives => {
                let counter = state.counter + 1;
                next.push(State { counter, ..self.written(state, operation) });
            }
            (Call::Touch { idle, .. }, _) if done && lives => {
                let touched = self.restarted(state, operation, nanos(*idle));
                let early = touched.early.max(state.early);
                let late = touched.late.max(state.late);
                next.push(State { early, late, ..*state });
            }
            (Call::Regenerate { .. }, _) => {
                let life = match answer {
                    Some(Answer::Named(new)) => Life::Live(self.ids[new.as_str()]),
                    None => Life::Untold(operation.op),
                    Some(_) => return,
                };
                if lives {
                    next.push(State { life, ..self.written(state, operation) });
                }
            }
            _ => {}
        }
    }
}

impl State {
    fn shows(&self, data: &Data) -> bool {
        let items = data.items.iter().fold(0, |all, item| all ^ mixed(*item));
        (self.writes, self.value, self.items, self.counter)
            == (data.writes, data.value, items, data.counter)
    }
}

/// Spreads a number over all bits (the finalizer of SplitMix64).
const fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

pub(super) const fn nanos(millis: u64) -> u64 {
    millis.saturating_mul(1_000_000)
}
