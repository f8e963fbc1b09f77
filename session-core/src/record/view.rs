//! What a session looks like to its holder.

use std::collections::BTreeSet;

use super::Record;
use crate::changes::{Changes, Log, Space};
use crate::{Owner, Result, Serializers, Timestamp, Value};

/// What a session looks like to its holder: a record under two sets of changes,
/// those that are being saved and those that came after.
pub(crate) struct View<'a> {
    pub(crate) base: Option<&'a Record>,
    pub(crate) saving: Option<&'a Changes>,
    pub(crate) changes: &'a Changes,
    pub(crate) serializers: &'a Serializers,
}

impl View<'_> {
    fn layers(&self) -> impl Iterator<Item = &Changes> {
        self.saving.into_iter().chain([self.changes])
    }

    /// Whether it takes functions of the user's to tell the value of one key, or
    /// of all if none is named.
    pub(crate) fn calls(&self, space: Space, name: Option<&str>) -> bool {
        self.layers().any(|changes| changes.calls(space, name))
    }

    pub(crate) fn get(&self, space: Space, name: &str) -> Result<Option<Value>> {
        if self.saving.is_none() && self.changes.is_empty() {
            let Some(base) = self.base else { return Ok(None) };
            return base.get(space, name, self.serializers);
        }
        // What is about to be overwritten need not even be decodable.
        let hidden = self.layers().any(|changes| {
            changes.cleared() || changes.log(space, name).is_some_and(Log::overwrites)
        });
        let stored = match self.base {
            Some(base) if !hidden => base.get(space, name, self.serializers)?,
            _ => None,
        };
        self.layers().try_fold(stored, |value, changes| changes.apply(space, name, value))
    }

    pub(crate) fn contains(&self, space: Space, name: &str) -> Result<bool> {
        if self.layers().all(|changes| !changes.cleared() && changes.log(space, name).is_none()) {
            return Ok(self.base.is_some_and(|base| base.contains(space, name)));
        }
        Ok(self.get(space, name)?.is_some())
    }

    /// Returns the names that have a value, sorted.
    pub(crate) fn names(&self, space: Space) -> Result<BTreeSet<String>> {
        let mut names: BTreeSet<String> =
            self.base.into_iter().flat_map(|base| base.names(space)).map(str::to_owned).collect();
        for changes in self.layers() {
            if changes.cleared() {
                names.clear();
            }
            names.extend(changes.logs(space).names().map(str::to_owned));
        }
        let mut present = BTreeSet::new();
        for name in names {
            if self.contains(space, &name)? {
                present.insert(name);
            }
        }
        Ok(present)
    }

    pub(crate) fn owner(&self) -> Option<Owner> {
        let stored = self.base.and_then(|base| base.meta().owner.clone());
        self.layers().fold(stored, |owner, changes| changes.meta.owner.clone().unwrap_or(owner))
    }

    pub(crate) fn authenticated(&self) -> Option<Timestamp> {
        let stored = self.base.and_then(|base| base.meta().authenticated);
        self.layers().fold(stored, |at, changes| changes.meta.authenticated.or(at))
    }
}
