//! Puts lines together into operations.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufRead};

use super::{Answer, Call, End, Event, Line};

/// The numbers of a process's workers differ in these lowest bits only.
pub const WORKER_BITS: u32 = 8;

/// One call with its end.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Its number.
    pub op: u64,
    /// Who called.
    pub worker: u32,
    /// What was asked.
    pub call: Call,
    /// How it ended. A call without an end may have happened.
    pub end: End,
    /// When it began.
    pub from: u64,
    /// When it had ended; [`u64::MAX`] if it may still happen.
    pub to: u64,
}

/// All operations on one session, through all its ids, in the order of their beginnings.
#[derive(Clone, Debug, Default)]
pub struct Lineage {
    /// Its number.
    pub number: u64,
    /// Its operations.
    pub operations: Vec<Operation>,
}

/// A time during which something was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What was broken.
    pub name: String,
    /// From when.
    pub from: u64,
    /// Until when; [`u64::MAX`] if it was never healed.
    pub to: u64,
}

/// What happened in a run.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The sessions.
    pub lineages: Vec<Lineage>,
    /// Calls that are about no session: locks and collections.
    pub others: Vec<Operation>,
    /// What was broken, and when.
    pub faults: Vec<Fault>,
}

impl Operation {
    /// Returns which process called.
    #[must_use]
    pub const fn process(&self) -> u32 {
        self.worker >> WORKER_BITS
    }

    /// Whether it was answered.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        matches!(self.end, End::Ok(_))
    }

    /// Whether it may have happened, or may still happen.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.end, End::Info(_))
    }
}

impl History {
    /// Puts lines together, in any order.
    #[must_use]
    pub fn of(mut lines: Vec<Line>) -> Self {
        lines.sort_by_key(|line| line.at);
        let mut history = Self::default();
        let mut lineages: BTreeMap<u64, Vec<Operation>> = BTreeMap::new();
        // Where the operations are that have begun.
        let mut begun: HashMap<u64, (u64, usize)> = HashMap::new();
        for Line { at, worker, op, lineage, event } in lines {
            match event {
                Event::Invoke(call) => {
                    let operations = lineages.entry(lineage).or_default();
                    begun.insert(op, (lineage, operations.len()));
                    let end = End::Info("lost".into());
                    operations.push(Operation { op, worker, call, end, from: at, to: u64::MAX });
                }
                Event::Fault(name) => {
                    history.faults.push(Fault { name, from: at, to: u64::MAX });
                }
                Event::Heal(name) => {
                    let fault = history.faults.iter_mut().rev().find(|fault| fault.name == name);
                    if let Some(fault) = fault {
                        fault.to = at;
                    }
                }
                Event::Ok(answer) => finish(&mut lineages, &begun, op, End::Ok(answer), at),
                Event::Fail(kind) => finish(&mut lineages, &begun, op, End::Fail(kind), at),
                Event::Info(kind) => finish(&mut lineages, &begun, op, End::Info(kind), u64::MAX),
            }
        }
        history.others = lineages.remove(&0).unwrap_or_default();
        history.lineages = lineages
            .into_iter()
            .map(|(number, operations)| Lineage { number, operations })
            .collect();
        history
    }

    /// Leaves out what only looks at a session, or may have looked at an old state
    /// of it, for stores whose primaries may be two for a while: a reading, a touch
    /// or a refusal, unless it is of one who reads at the end.
    #[must_use]
    pub fn without_looks(mut self, last_reader: u32) -> Self {
        for operation in self.lineages.iter_mut().flat_map(|lineage| &mut lineage.operations) {
            let refused = matches!(operation.end, End::Ok(Answer::Gone | Answer::Conflict));
            let touches = matches!(operation.call, Call::Touch { .. });
            let looks = touches || refused || operation.call.only_looks();
            if !looks || operation.worker == last_reader || !operation.is_ok() {
                continue;
            }
            if touches && !refused {
                // Or it has extended the life of what writers met later.
                (operation.end, operation.to) = (End::Info("may be undone".into()), u64::MAX);
            } else {
                operation.end = End::Fail("may be old".into());
            }
        }
        self.others.clear();
        self
    }

    /// Returns how many operations were answered.
    #[must_use]
    pub fn answered(&self) -> usize {
        let of_sessions = self.lineages.iter().flat_map(|lineage| &lineage.operations);
        of_sessions.chain(&self.others).filter(|operation| operation.is_ok()).count()
    }

    /// Returns how many operations there are.
    #[must_use]
    pub fn operations(&self) -> usize {
        let of_sessions: usize = self.lineages.iter().map(|l| l.operations.len()).sum();
        of_sessions + self.others.len()
    }
}

fn finish(
    lineages: &mut BTreeMap<u64, Vec<Operation>>,
    begun: &HashMap<u64, (u64, usize)>,
    op: u64,
    end: End,
    to: u64,
) {
    let place = begun.get(&op).and_then(|(lineage, at)| lineages.get_mut(lineage)?.get_mut(*at));
    if let Some(operation) = place {
        (operation.end, operation.to) = (end, to);
    }
}

/// Reads the lines of a history. A last line that was cut short is left out: its
/// writer was killed, and the call had not begun.
///
/// # Errors
///
/// If the source cannot be read, or holds anything else.
pub fn read(source: impl BufRead) -> io::Result<Vec<Line>> {
    let mut lines = Vec::new();
    let mut broken = None;
    for text in source.lines() {
        let text = text?;
        if let Some(err) = broken.take() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, err));
        }
        match serde_json::from_str(&text) {
            Ok(line) => lines.push(line),
            Err(err) => broken = Some(err.to_string()),
        }
    }
    Ok(lines)
}
