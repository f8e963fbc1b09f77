//! A stored session whose values are decoded only when they are asked for.

use std::collections::BTreeSet;
use std::fmt;

use bytes::Bytes;

use crate::changes::{Changes, Log, Space};
use crate::frame::{Builder, Meta, Slot, Table};
use crate::{Error, ErrorKind, Operation, Owner, Result, Serializers, SessionKey, Value};

/// A stored session, or one that is ready to be stored, whose values are decoded
/// only when they are asked for.
#[derive(Clone)]
pub(crate) struct Record {
    payload: Bytes,
    table: Table,
}

/// What a record is made with.
pub(crate) struct Making<'a> {
    pub(crate) key: &'a SessionKey,
    pub(crate) serializers: &'a Serializers,
    pub(crate) max_bytes: usize,
    pub(crate) max_keys: usize,
}

impl Record {
    pub(crate) const fn new(payload: Bytes, table: Table) -> Self {
        Self { payload, table }
    }

    pub(crate) const fn meta(&self) -> &Meta {
        &self.table.meta
    }

    pub(crate) const fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Returns how much memory the record takes, about.
    pub(crate) fn bytes(&self) -> usize {
        self.payload.len() + self.table.slots.len() * size_of::<Slot>()
    }

    fn slot(&self, space: Space, name: &str) -> Option<&Slot> {
        let slots = &self.table.slots;
        let wanted = (space, name.as_bytes());
        let found =
            slots.binary_search_by(|slot| (slot.space, slot.name(&self.payload)).cmp(&wanted));
        found.ok().map(|index| &slots[index])
    }

    pub(crate) fn contains(&self, space: Space, name: &str) -> bool {
        self.slot(space, name).is_some()
    }

    /// Decodes one value. `None` if there is none of that name.
    pub(crate) fn get(
        &self,
        space: Space,
        name: &str,
        serializers: &Serializers,
    ) -> Result<Option<Value>> {
        self.slot(space, name).map(|slot| self.decode(slot, serializers)).transpose()
    }

    pub(crate) fn names(&self, space: Space) -> impl Iterator<Item = &str> {
        let slots = self.table.slots.iter().filter(move |slot| slot.space == space);
        // Names were checked to be UTF-8 when the frame was parsed.
        slots.filter_map(|slot| std::str::from_utf8(slot.name(&self.payload)).ok())
    }

    fn serializer(&self, slot: &Slot) -> &[u8] {
        self.table.serializer(slot, &self.payload)
    }

    fn decode(&self, slot: &Slot, serializers: &Serializers) -> Result<Value> {
        serializers.wrote(self.serializer(slot))?.decode(slot.value(&self.payload))
    }

    /// Copies an untouched value byte for byte, unless another serializer wrote
    /// it and it can be turned into what this program writes.
    fn copy<'a>(
        &'a self,
        slot: &Slot,
        to: &mut Builder<'a>,
        serializers: &Serializers,
    ) -> Result<()> {
        let name = slot.name(&self.payload);
        let written_with = self.serializer(slot);
        let writer = serializers.writer();
        if written_with != writer.name().as_bytes()
            && let Ok(value) = self.decode(slot, serializers)
        {
            return to.entry(slot.space, name, 0, |out| writer.encode(&value, out));
        }
        let serializer = to.serializer(written_with)?;
        to.entry(slot.space, name, serializer, |out| {
            out.extend_from_slice(slot.value(&self.payload));
            Ok(())
        })
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("bytes", &self.payload.len())
            .field("keys", &self.table.slots.len())
            .finish_non_exhaustive()
    }
}

impl Making<'_> {
    /// Replays `changes` on `base`. `None` if that makes no difference.
    pub(crate) fn changed(&self, base: &Record, changes: &Changes) -> Result<Option<Record>> {
        self.make(Some(base), base.meta().clone(), changes, false)
    }

    /// Replays `changes` on `base`, even if that makes no difference: the record
    /// goes to another key.
    pub(crate) fn moved(&self, base: &Record, changes: &Changes) -> Result<Record> {
        let draft = self.make(Some(base), base.meta().clone(), changes, true)?;
        draft.ok_or_else(|| Error::new(ErrorKind::Internal, Operation::Encode, "no draft was made"))
    }

    /// Makes the first record of a session. `None` if there is nothing to store.
    pub(crate) fn first(&self, meta: Meta, changes: &Changes) -> Result<Option<Record>> {
        self.make(None, meta, changes, false)
    }

    fn make(
        &self,
        base: Option<&Record>,
        mut meta: Meta,
        changes: &Changes,
        always: bool,
    ) -> Result<Option<Record>> {
        let like = base.map_or(0, |base| base.payload.len());
        let writer = self.serializers.writer();
        let mut builder = Builder::new(writer.name(), self.max_bytes, like);
        let mut differs = always | apply_meta(&mut meta, changes);
        for space in [Space::User, Space::Flash] {
            differs |= self.fill(&mut builder, base, changes, space)?;
        }
        if builder.entries() > self.max_keys {
            let message = "the session would have too many keys; remove some, or raise `max_keys`";
            return Err(Error::new(ErrorKind::TooLarge, Operation::Encode, message));
        }
        let nothing = builder.entries() == 0 && meta.owner.is_none() && !changes.meta.establish;
        let needless = if base.is_some() { !differs } else { nothing };
        if needless {
            return Ok(None);
        }
        let (payload, table) = builder.finish(meta, self.key)?;
        Ok(Some(Record::new(payload, table)))
    }

    /// Adds the entries of one space in order. Returns whether any differs from `base`.
    fn fill<'a>(
        &self,
        to: &mut Builder<'a>,
        base: Option<&'a Record>,
        changes: &Changes,
        space: Space,
    ) -> Result<bool> {
        let mut differs = false;
        let mut old = base
            .map_or(&[][..], |base| &base.table.slots)
            .iter()
            .filter(|slot| slot.space == space)
            .peekable();
        let mut logs = changes.logs(space).iter().peekable();
        // Both are sorted by name, so one walk along the two meets every name once.
        loop {
            let old_name = old.peek().zip(base).map(|(slot, base)| slot.name(&base.payload));
            let log_name = logs.peek().map(|(name, _)| name.as_bytes());
            match (old_name, log_name) {
                (None, None) => return Ok(differs),
                (Some(name), log_name) if log_name.is_none_or(|log_name| name < log_name) => {
                    let slot = old.next();
                    match slot.zip(base) {
                        Some((slot, base)) if !changes.cleared() => {
                            base.copy(slot, to, self.serializers)?;
                        }
                        _ => differs = true,
                    }
                }
                (old_name, _) => {
                    let slot = if old_name == log_name { old.next() } else { None };
                    if let Some((name, log)) = logs.next() {
                        let slot = slot.zip(base);
                        differs |= self.replay(to, space, name, log, slot, changes.cleared())?;
                    }
                }
            }
        }
    }

    /// Adds what one log makes of the stored value. Returns whether it differs.
    fn replay(
        &self,
        to: &mut Builder<'_>,
        space: Space,
        name: &str,
        log: &Log,
        old: Option<(&Slot, &Record)>,
        cleared: bool,
    ) -> Result<bool> {
        let stored = match old {
            Some((slot, base)) if !cleared && !log.overwrites() => {
                Some(base.decode(slot, self.serializers)?)
            }
            _ => None,
        };
        let Some(value) = log.apply(stored)? else { return Ok(old.is_some()) };
        let writer = self.serializers.writer();
        let mut same = false;
        to.entry(space, name.as_bytes(), 0, |out| {
            let before = out.len();
            writer.encode(&value, out)?;
            same = old.is_some_and(|(slot, base)| {
                base.serializer(slot) == writer.name().as_bytes()
                    && slot.value(&base.payload) == &out[before..]
            });
            Ok(())
        })?;
        Ok(!same)
    }
}

/// Applies what was done to the session's settings. Returns whether it differs.
fn apply_meta(meta: &mut Meta, changes: &Changes) -> bool {
    let new = &changes.meta;
    if new.is_empty() {
        return false;
    }
    let before = meta.clone();
    if let Some(owner) = &new.owner {
        meta.owner = owner.clone();
    }
    meta.idle = new.idle.unwrap_or(meta.idle);
    meta.absolute = new.absolute.unwrap_or(meta.absolute);
    meta.persistent = new.persistent.unwrap_or(meta.persistent);
    meta.authenticated = new.authenticated.or(meta.authenticated);
    *meta != before
}

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
}
