//! Looks for an order of operations that explains all answers.
//!
//! The search of Wing and Gong with the memory of Lowe: take the operations one
//! after another, each at a moment between its beginning and its end, and go
//! back when an operation has ended that cannot be taken. What may or may not
//! have happened has no end, and need not be taken.

use std::collections::HashSet;
use std::hash::Hash;

/// What operations are done on.
pub trait Object {
    /// What it is like between two operations.
    type State: Clone + Eq + Hash;

    /// Returns what it is like at first.
    fn initial(&self) -> Self::State;

    /// Adds to `next` what it may be like after an operation that was answered
    /// as it was. Nothing if that answer is impossible.
    fn step(&self, state: &Self::State, operation: usize, next: &mut Vec<Self::State>);
}

/// When an operation began and had ended; [`u64::MAX`] if it may still happen.
pub type Interval = (u64, u64);

/// What a search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is such an order.
    Explained,
    /// There is none. However far the search came, it did not get past the end
    /// of this operation.
    Impossible(usize),
    /// The search was given up.
    Undecided,
}

/// The beginning or the end of an operation, in a list of those not yet taken.
#[derive(Clone, Copy)]
struct Entry {
    operation: usize,
    is_end: bool,
    before: usize,
    after: usize,
}

/// A list in an array. Place 0 stands before the first and after the last.
struct List {
    entries: Vec<Entry>,
    begin: Vec<usize>,
    end: Vec<Option<usize>>,
}

impl List {
    fn new(intervals: &[Interval]) -> Self {
        let mut moments = Vec::new();
        for (operation, &(from, to)) in intervals.iter().enumerate() {
            moments.push((from, false, operation));
            if to != u64::MAX {
                moments.push((to, true, operation));
            }
        }
        // At the same moment, beginnings come first: the two may have overlapped.
        moments.sort_unstable();
        let count = moments.len();
        let none = Entry { operation: 0, is_end: true, before: count, after: 1 % (count + 1) };
        let mut list = Self {
            entries: vec![none],
            begin: vec![0; intervals.len()],
            end: vec![None; intervals.len()],
        };
        for (at, (_, is_end, operation)) in (1..).zip(moments) {
            let after = if at == count { 0 } else { at + 1 };
            list.entries.push(Entry { operation, is_end, before: at - 1, after });
            if is_end {
                list.end[operation] = Some(at);
            } else {
                list.begin[operation] = at;
            }
        }
        list
    }

    fn first(&self) -> usize {
        self.entries[0].after
    }

    fn unlink(&mut self, at: usize) {
        let Entry { before, after, .. } = self.entries[at];
        self.entries[before].after = after;
        self.entries[after].before = before;
    }

    fn link(&mut self, at: usize) {
        let Entry { before, after, .. } = self.entries[at];
        self.entries[before].after = at;
        self.entries[after].before = at;
    }

    fn take(&mut self, operation: usize) {
        self.unlink(self.begin[operation]);
        if let Some(end) = self.end[operation] {
            self.unlink(end);
        }
    }

    /// Puts back what was taken last.
    fn put_back(&mut self, operation: usize) {
        if let Some(end) = self.end[operation] {
            self.link(end);
        }
        self.link(self.begin[operation]);
    }
}

/// An operation that was taken, and what else it might have led to.
struct Taken<S> {
    operation: usize,
    before: S,
    others: Vec<S>,
}

/// Looks for an order, in at most so many steps.
pub fn search<O: Object>(object: &O, intervals: &[Interval], steps: usize) -> Verdict {
    let mut list = List::new(intervals);
    let mut left = intervals.iter().filter(|(_, to)| *to != u64::MAX).count();
    let mut state = object.initial();
    let mut done = vec![0_u64; intervals.len().div_ceil(64)];
    let mut seen: HashSet<(Box<[u64]>, O::State)> = HashSet::new();
    let mut taken: Vec<Taken<O::State>> = Vec::new();
    let mut next = Vec::new();
    let (mut furthest, mut stuck) = (0, 0);
    let mut at = list.first();
    for _ in 0..steps {
        if left == 0 {
            return Verdict::Explained;
        }
        let Entry { operation, is_end, after, .. } = list.entries[at];
        // Beyond the last end there are only calls that need not have happened,
        // and then nothing would be left.
        if is_end {
            if taken.len() >= furthest {
                (furthest, stuck) = (taken.len(), operation);
            }
            let Some(Taken { operation, before, others }) = taken.pop() else {
                return Verdict::Impossible(stuck);
            };
            done[operation / 64] &= !(1 << (operation % 64));
            list.put_back(operation);
            left += usize::from(list.end[operation].is_some());
            state = before;
            next = others;
            at = list.begin[operation];
            if next.is_empty() {
                at = list.entries[at].after;
                continue;
            }
        } else {
            next.clear();
            object.step(&state, operation, &mut next);
        }
        let operation = list.entries[at].operation;
        done[operation / 64] |= 1 << (operation % 64);
        let new = loop {
            match next.pop() {
                Some(new) if seen.insert((done.clone().into(), new.clone())) => break Some(new),
                Some(_) => {}
                None => break None,
            }
        };
        match new {
            Some(new) => {
                let before = std::mem::replace(&mut state, new);
                taken.push(Taken { operation, before, others: std::mem::take(&mut next) });
                list.take(operation);
                left -= usize::from(list.end[operation].is_some());
                at = list.first();
            }
            None => {
                done[operation / 64] &= !(1 << (operation % 64));
                at = if is_end { list.entries[at].after } else { after };
            }
        }
    }
    Verdict::Undecided
}
