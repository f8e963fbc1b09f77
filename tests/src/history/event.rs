//! One line of a history.

use serde::{Deserialize, Serialize};

/// One line of a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// When it was written, in nanoseconds of the host's monotonic clock.
    pub at: u64,
    /// Who did it: a number that no other worker of the run has.
    pub worker: u32,
    /// Which operation it belongs to: a number that no other one of the run has.
    pub op: u64,
    /// Which session it is about, through all its ids. 0 if none.
    pub lineage: u64,
    /// What happened.
    pub event: Event,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A call began.
    Invoke(Call),
    /// A call was answered.
    Ok(Answer),
    /// A call failed and has certainly changed nothing. Holds the kind of error.
    Fail(String),
    /// A call may have happened, or may still happen. Holds the kind of error.
    Info(String),
    /// A fault of this name began.
    Fault(String),
    /// A fault of this name ended.
    Heal(String),
}

/// What a worker asks. Ids appear as their handles, which open nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// Begins a session that lives `idle` milliseconds unused, and `absolute` at the most.
    Create {
        /// The idle lifetime.
        idle: u64,
        /// The absolute lifetime; `None` for one that outlasts the run.
        absolute: Option<u64>,
    },
    /// Reads the session.
    Load {
        /// By which id.
        id: String,
    },
    /// Stores a value if nobody has written since the `at`-th write.
    Save {
        /// By which id.
        id: String,
        /// How many writes the session had when it was loaded.
        at: u64,
        /// The value; no other save has it.
        value: u64,
    },
    /// Adds an item, whatever else was written meanwhile.
    Merge {
        /// By which id.
        id: String,
        /// The item; no other merge has it.
        item: u64,
    },
    /// Adds one to the counter, whatever else was written meanwhile.
    Increment {
        /// By which id.
        id: String,
    },
    /// Extends the lifetime to `idle` milliseconds from now.
    Touch {
        /// By which id.
        id: String,
        /// The idle lifetime, perhaps shorter than what is left.
        idle: u64,
    },
    /// Gives the session a new id.
    Regenerate {
        /// The id that ends.
        id: String,
    },
    /// Ends the session.
    Destroy {
        /// By which id.
        id: String,
    },
    /// Asks the store how long the record of an id has to live.
    Look {
        /// Of which id.
        id: String,
    },
    /// Presents an altered spelling of an id.
    Stranger {
        /// Of which id.
        id: String,
    },
    /// Takes a lock that falls free after `lease` milliseconds.
    Lock {
        /// Which lock.
        lock: u64,
        /// Its longest life.
        lease: u64,
    },
    /// Gives a lock back.
    Unlock {
        /// Which lock.
        lock: u64,
        /// The token it was granted with.
        token: u64,
    },
    /// Removes expired records.
    Collect,
}

/// What a worker is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It was done.
    Done,
    /// It was done; the session has this id now.
    Named(String),
    /// The session holds this.
    Found(Data),
    /// There is no such session (any more).
    Gone,
    /// Somebody else has written.
    Conflict,
    /// The record lives so many milliseconds from now; `None` for no end.
    Left(Option<u64>),
    /// The lock was granted with this token.
    Granted(u64),
    /// Somebody else holds the lock, or it had passed on.
    Held,
}

/// What a session holds. Every write adds one to `writes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Data {
    /// The lineage that the session was created for.
    pub tag: u64,
    /// How often it was written.
    pub writes: u64,
    /// What the last save stored; 0 if there was none.
    pub value: u64,
    /// What merges have added, sorted.
    pub items: Vec<u64>,
    /// How often it was incremented.
    pub counter: u64,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It was answered.
    Ok(Answer),
    /// It has certainly changed nothing.
    Fail(String),
    /// It may have happened, or may still happen.
    Info(String),
}

impl From<End> for Event {
    fn from(end: End) -> Self {
        match end {
            End::Ok(answer) => Self::Ok(answer),
            End::Fail(kind) => Self::Fail(kind),
            End::Info(kind) => Self::Info(kind),
        }
    }
}

impl Call {
    /// Returns the handle of the id that is presented, if one is.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Load { id }
            | Self::Save { id, .. }
            | Self::Merge { id, .. }
            | Self::Increment { id }
            | Self::Touch { id, .. }
            | Self::Regenerate { id }
            | Self::Destroy { id }
            | Self::Look { id }
            | Self::Stranger { id } => Some(id),
            Self::Create { .. } | Self::Lock { .. } | Self::Unlock { .. } | Self::Collect => None,
        }
    }

    /// Whether it writes the session's data, and so restarts its lifetime.
    #[must_use]
    pub const fn writes(&self) -> bool {
        matches!(
            self,
            Self::Create { .. }
                | Self::Save { .. }
                | Self::Merge { .. }
                | Self::Increment { .. }
                | Self::Regenerate { .. }
        )
    }

    /// Whether it leaves the session as it is in any case.
    #[must_use]
    pub const fn only_looks(&self) -> bool {
        matches!(self, Self::Load { .. } | Self::Look { .. } | Self::Stranger { .. })
    }
}
