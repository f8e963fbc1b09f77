//! What one request did to a session, replayable on a newer state of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::{Error, ErrorKind, Operation, Owner, Result, Timestamp, Value};

/// The two name spaces of a session. Flash messages never meet the user's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Space {
    User,
    Flash,
}

/// A function that makes a new value out of the present one.
pub(crate) type Update = Arc<dyn Fn(Option<Value>) -> Result<Option<Value>> + Send + Sync>;

/// One thing that was done to one key.
#[derive(Clone)]
pub(crate) enum Op {
    Set(Value),
    Remove,
    /// Removes the value in a way that can be undone: with what was done before.
    Take(Option<Box<Log>>),
    Increment(i64),
    Push(Value),
    Update(Update),
}

impl Op {
    /// Does it to a value.
    pub(crate) fn apply(&self, value: Option<Value>) -> Result<Option<Value>> {
        match self {
            Self::Set(new) => Ok(Some(new.clone())),
            Self::Remove | Self::Take(_) => Ok(None),
            Self::Increment(by) => increment(value.as_ref(), *by).map(Some),
            Self::Push(item) => push(value, item.clone()).map(Some),
            Self::Update(update) => update(value),
        }
    }

    /// Whether the value before makes no difference.
    const fn overwrites(&self) -> bool {
        matches!(self, Self::Set(_) | Self::Remove | Self::Take(_))
    }
}

/// Names the operation and hides the value.
impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Set(_) => "Set",
            Self::Remove => "Remove",
            Self::Take(_) => "Take",
            Self::Increment(_) => "Increment",
            Self::Push(_) => "Push",
            Self::Update(_) => "Update",
        })
    }
}

/// All that was done to one key, in order: mostly one thing.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    first: Op,
    more: Vec<Op>,
}

impl Log {
    const fn new(op: Op) -> Self {
        Self { first: op, more: Vec::new() }
    }

    /// Adds one operation. What it overwrites is forgotten, unless it can be undone.
    fn add(&mut self, op: Op) {
        if matches!(op, Op::Take(None)) {
            if !matches!(self.first, Op::Take(_)) {
                let before = std::mem::replace(self, Self::new(Op::Remove));
                self.first = Op::Take(Some(Box::new(before)));
            }
            return;
        }
        if op.overwrites() {
            *self = Self::new(op);
            return;
        }
        let last = self.more.last_mut().unwrap_or(&mut self.first);
        if let (Op::Increment(sum), Op::Increment(by)) = (last, &op)
            && let Some(both) = sum.checked_add(*by)
        {
            *sum = both;
            return;
        }
        self.more.push(op);
    }

    /// Does it all to a value.
    pub(crate) fn apply(&self, value: Option<Value>) -> Result<Option<Value>> {
        let value = self.first.apply(value)?;
        self.more.iter().try_fold(value, |value, op| op.apply(value))
    }

    /// Puts back what was taken. Returns whether anything is left that was done.
    fn put_back(&mut self) -> bool {
        let Op::Take(before) = &mut self.first else { return true };
        let Some(before) = before.take() else { return false };
        *self = *before;
        true
    }

    /// Whether the value before makes no difference.
    pub(crate) const fn overwrites(&self) -> bool {
        self.first.overwrites()
    }

    /// Whether doing it calls a function of the user's.
    fn calls(&self) -> bool {
        std::iter::once(&self.first).chain(&self.more).any(|op| matches!(op, Op::Update(_)))
    }
}

/// What was done to each key, sorted by name. A request changes few keys, so a
/// list is enough.
#[derive(Clone, Default)]
pub(crate) struct Logs(Vec<(String, Log)>);

impl Logs {
    fn find(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.as_str().cmp(name))
    }

    fn get(&self, name: &str) -> Option<&Log> {
        self.find(name).ok().map(|at| &self.0[at].1)
    }

    fn add(&mut self, name: &str, op: Op) {
        match self.find(name) {
            Ok(at) => self.0[at].1.add(op),
            Err(at) => self.0.insert(at, (name.to_owned(), Log::new(op))),
        }
    }

    /// Returns names and logs in the order of the names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Log)> {
        self.0.iter().map(|(name, log)| (name.as_str(), log))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

/// What one request did to a session.
///
/// On a conflict the session is read again and the same changes are replayed on
/// what is there now: two requests that change different keys both win.
#[derive(Clone, Default)]
pub(crate) struct Changes {
    /// Whether everything that was there before was dropped first.
    cleared: bool,
    user: Logs,
    flash: Logs,
    pub(crate) meta: MetaChanges,
}

/// What one request did to the session's own settings.
#[derive(Clone, Default)]
pub(crate) struct MetaChanges {
    pub(crate) owner: Option<Option<Owner>>,
    pub(crate) idle: Option<Option<Duration>>,
    /// When to end; the inner `None` for never.
    pub(crate) absolute: Option<Option<Timestamp>>,
    pub(crate) persistent: Option<Option<bool>>,
    pub(crate) authenticated: Option<Timestamp>,
    /// Whether to store the session even if it is empty.
    pub(crate) establish: bool,
}

impl MetaChanges {
    pub(crate) const fn is_empty(&self) -> bool {
        self.owner.is_none()
            && self.idle.is_none()
            && self.absolute.is_none()
            && self.persistent.is_none()
            && self.authenticated.is_none()
            && !self.establish
    }

    /// Whether they go with a change of privilege: a login or a logout.
    pub(crate) const fn changes_privilege(&self) -> bool {
        self.owner.is_some() || self.authenticated.is_some()
    }

    fn then(&mut self, later: Self) {
        self.owner = later.owner.or(self.owner.take());
        self.idle = later.idle.or(self.idle);
        self.absolute = later.absolute.or(self.absolute);
        self.persistent = later.persistent.or(self.persistent);
        self.authenticated = later.authenticated.or(self.authenticated);
        self.establish |= later.establish;
    }
}

impl Changes {
    pub(crate) fn is_empty(&self) -> bool {
        !self.cleared && self.user.0.is_empty() && self.flash.0.is_empty() && self.meta.is_empty()
    }

    pub(crate) const fn cleared(&self) -> bool {
        self.cleared
    }

    pub(crate) const fn logs(&self, space: Space) -> &Logs {
        match space {
            Space::User => &self.user,
            Space::Flash => &self.flash,
        }
    }

    pub(crate) fn log(&self, space: Space, name: &str) -> Option<&Log> {
        self.logs(space).get(name)
    }

    /// Whether it takes functions of the user's to tell the value of one key, or
    /// of all if none is named.
    pub(crate) fn calls(&self, space: Space, name: Option<&str>) -> bool {
        match name {
            Some(name) => self.log(space, name).is_some_and(Log::calls),
            None => self.logs(space).iter().any(|(_, log)| log.calls()),
        }
    }

    pub(crate) fn add(&mut self, space: Space, name: &str, op: Op) {
        self.logs_mut(space).add(name, op);
    }

    /// Puts back all values that were taken.
    pub(crate) fn put_back(&mut self, space: Space) {
        self.logs_mut(space).0.retain_mut(|(_, log)| log.put_back());
    }

    /// Drops all data; settings of the session stay.
    pub(crate) fn clear(&mut self) {
        self.cleared = true;
        self.user.0.clear();
        self.flash.0.clear();
    }

    /// Adds what was done after this.
    pub(crate) fn then(&mut self, later: Self) {
        if later.cleared {
            self.clear();
        }
        for (logs, later) in [(&mut self.user, later.user), (&mut self.flash, later.flash)] {
            for (name, log) in later.0 {
                std::iter::once(log.first).chain(log.more).for_each(|op| logs.add(&name, op));
            }
        }
        self.meta.then(later.meta);
    }

    /// Does what was done to one key, to a value.
    pub(crate) fn apply(
        &self,
        space: Space,
        name: &str,
        value: Option<Value>,
    ) -> Result<Option<Value>> {
        let value = value.filter(|_| !self.cleared);
        match self.log(space, name) {
            Some(log) => log.apply(value),
            None => Ok(value),
        }
    }

    const fn logs_mut(&mut self, space: Space) -> &mut Logs {
        match space {
            Space::User => &mut self.user,
            Space::Flash => &mut self.flash,
        }
    }
}

/// Shows how much was changed and nothing of what.
impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes")
            .field("cleared", &self.cleared)
            .field("keys", &(self.user.0.len() + self.flash.0.len()))
            .finish_non_exhaustive()
    }
}

fn increment(value: Option<&Value>, by: i64) -> Result<Value> {
    let now = match value {
        None | Some(Value::Null) => 0,
        Some(Value::Int(now)) => *now,
        Some(_) => return Err(mismatch("only a whole number can be incremented")),
    };
    now.checked_add(by).map(Value::Int).ok_or_else(|| {
        let message = "the number would leave the range of 64-bit integers";
        Error::new(ErrorKind::TooLarge, Operation::Change, message)
    })
}

fn push(value: Option<Value>, item: Value) -> Result<Value> {
    let mut list = match value {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::List(list)) => list,
        Some(_) => return Err(mismatch("only a list can be pushed to")),
    };
    list.push(item);
    Ok(Value::List(list))
}

fn mismatch(message: &'static str) -> Error {
    Error::new(ErrorKind::TypeMismatch, Operation::Change, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(changes: &Changes, name: &str, base: Option<Value>) -> Option<Value> {
        changes.apply(Space::User, name, base).unwrap()
    }

    #[test]
    fn what_is_overwritten_is_forgotten() {
        let mut changes = Changes::default();
        changes.add(Space::User, "n", Op::Increment(5));
        changes.add(Space::User, "n", Op::Set(Value::Int(1)));
        changes.add(Space::User, "n", Op::Increment(2));
        changes.add(Space::User, "n", Op::Increment(3));
        assert_eq!(after(&changes, "n", Some(Value::Int(100))), Some(Value::Int(6)));
        assert_eq!(changes.user.get("n").unwrap().more.len(), 1);
    }

    #[test]
    fn increments_and_pushes_build_on_what_is_there_now() {
        let mut changes = Changes::default();
        changes.add(Space::User, "n", Op::Increment(1));
        changes.add(Space::User, "l", Op::Push(Value::Int(2)));
        let theirs = Value::List(vec![Value::Int(1)]);
        assert_eq!(after(&changes, "n", Some(Value::Int(41))), Some(Value::Int(42)));
        assert_eq!(after(&changes, "n", None), Some(Value::Int(1)));
        let both = Value::List(vec![Value::Int(1), Value::Int(2)]);
        assert_eq!(after(&changes, "l", Some(theirs)), Some(both));
    }

    #[test]
    fn an_increment_never_wraps_and_never_changes_a_type() {
        let mut changes = Changes::default();
        changes.add(Space::User, "n", Op::Increment(1));
        let kind = |base| changes.apply(Space::User, "n", Some(base)).unwrap_err().kind();
        assert_eq!(kind(Value::Int(i64::MAX)), ErrorKind::TooLarge);
        assert_eq!(kind(Value::Str("1".into())), ErrorKind::TypeMismatch);
    }

    #[test]
    fn a_clear_drops_what_was_there_and_what_was_done_before_it() {
        let mut changes = Changes::default();
        changes.add(Space::User, "a", Op::Set(Value::Int(1)));
        changes.clear();
        changes.add(Space::User, "b", Op::Increment(1));
        assert_eq!(after(&changes, "a", Some(Value::Int(9))), None);
        assert_eq!(after(&changes, "b", Some(Value::Int(9))), Some(Value::Int(1)));
    }

    #[test]
    fn what_is_taken_can_be_put_back() {
        let mut changes = Changes::default();
        changes.add(Space::User, "stored", Op::Take(None));
        changes.add(Space::User, "new", Op::Set(Value::Int(1)));
        let mut later = Changes::default();
        later.add(Space::User, "new", Op::Take(None));
        changes.then(later);
        changes.add(Space::User, "new", Op::Take(None));
        assert_eq!(after(&changes, "stored", Some(Value::Int(9))), None);
        assert_eq!(after(&changes, "new", None), None);

        changes.put_back(Space::User);
        assert_eq!(after(&changes, "stored", Some(Value::Int(9))), Some(Value::Int(9)));
        assert_eq!(after(&changes, "new", None), Some(Value::Int(1)));
    }

    #[test]
    fn later_changes_come_after_earlier_ones() {
        let (mut first, mut later) = (Changes::default(), Changes::default());
        first.add(Space::User, "n", Op::Set(Value::Int(10)));
        first.meta.idle = Some(None);
        later.add(Space::User, "n", Op::Increment(1));
        first.then(later);
        assert_eq!(after(&first, "n", None), Some(Value::Int(11)));
        assert_eq!(first.meta.idle, Some(None));

        let mut cleared = Changes::default();
        cleared.clear();
        first.then(cleared);
        assert_eq!(after(&first, "n", Some(Value::Int(5))), None);
    }
}
