//! Writes a history while it happens.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Call, End, Event, Line, now};

/// Writes the history of one process. Clones write the same one.
///
/// A line is in the file before the call that it announces begins, so that a
/// process which is killed leaves no call behind that nobody knows of.
#[derive(Clone, Debug)]
pub struct Recorder(Arc<Inner>);

struct Inner {
    sink: Mutex<Sink>,
    next: AtomicU64,
    clock: Box<dyn Fn() -> u64 + Send + Sync>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("sink", &self.sink).finish_non_exhaustive()
    }
}

#[derive(Debug)]
enum Sink {
    File(File),
    Memory(Vec<Line>),
}

/// A call that has begun.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Pending {
    worker: u32,
    /// The number of the operation.
    pub op: u64,
    lineage: u64,
}

impl Recorder {
    /// Appends to a file. `process` is a number that no other process of the run has.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened.
    pub fn to_file(path: &Path, process: u32) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self::new(Sink::File(file), process, now))
    }

    /// Keeps the lines, for a run in one process.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::with_clock(now)
    }

    /// Keeps the lines, and has its times from elsewhere.
    #[must_use]
    pub fn with_clock(clock: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self::new(Sink::Memory(Vec::new()), 0, clock)
    }

    fn new(sink: Sink, process: u32, clock: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        let next = AtomicU64::new((u64::from(process) << 32) + 1);
        Self(Arc::new(Inner { sink: Mutex::new(sink), next, clock: Box::new(clock) }))
    }

    /// Returns a number that nobody else in the run has or gets.
    #[must_use]
    pub fn fresh(&self) -> u64 {
        self.0.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Notes that a call begins, and numbers it.
    pub fn invoke(&self, worker: u32, lineage: u64, call: Call) -> Pending {
        let op = self.fresh();
        self.invoke_as(op, worker, lineage, call)
    }

    /// Notes that a call with a given number begins.
    pub fn invoke_as(&self, op: u64, worker: u32, lineage: u64, call: Call) -> Pending {
        let pending = Pending { worker, op, lineage };
        self.write(pending, Event::Invoke(call));
        pending
    }

    /// Notes how a call has ended.
    pub fn end(&self, pending: Pending, end: End) {
        self.write(pending, end.into());
    }

    /// Notes that a fault begins or ends.
    pub fn fault(&self, event: Event) {
        self.write(Pending { worker: 0, op: 0, lineage: 0 }, event);
    }

    /// Returns the lines that were kept, and keeps them no longer.
    #[must_use]
    pub fn take(&self) -> Vec<Line> {
        match &mut *self.sink() {
            Sink::Memory(lines) => std::mem::take(lines),
            Sink::File(_) => Vec::new(),
        }
    }

    fn write(&self, pending: Pending, event: Event) {
        let Pending { worker, op, lineage } = pending;
        // Read before waiting for the others: a call may only look longer than it was.
        let line = Line { at: (self.0.clock)(), worker, op, lineage, event };
        match &mut *self.sink() {
            Sink::Memory(lines) => lines.push(line),
            Sink::File(file) => {
                let mut text = serde_json::to_vec(&line).expect("lines are JSON");
                text.push(b'\n');
                file.write_all(&text).expect("the history can be written");
            }
        }
    }

    fn sink(&self) -> std::sync::MutexGuard<'_, Sink> {
        self.0.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
