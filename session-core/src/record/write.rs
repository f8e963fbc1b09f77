//! Puts records together: the stored values with what was changed.

use super::Record;
use crate::changes::{Changes, Log, Space};
use crate::frame::{Builder, Meta, Slot};
use crate::{Error, ErrorKind, Operation, Result, Serializers, SessionKey};

/// What becomes of values that nobody touched and another serializer wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Foreign {
    /// They are turned into what this program writes, where it can express them.
    Rewritten,
    /// They stay as they are.
    Kept,
}

/// Puts the records of one key together, within the limits of the policy.
pub(crate) struct RecordWriter<'a> {
    pub(crate) key: &'a SessionKey,
    pub(crate) serializers: &'a Serializers,
    pub(crate) max_bytes: usize,
    pub(crate) max_keys: usize,
}

impl RecordWriter<'_> {
    /// Replays `changes` on `base`. `None` if that makes no difference.
    pub(crate) fn changed(&self, base: &Record, changes: &Changes) -> Result<Option<Record>> {
        self.make(Some(base), base.meta(), changes, false)
    }

    /// Replays `changes` on `base`, even if that makes no difference: the record
    /// goes to another key, or the store may have something else than `base`.
    pub(crate) fn replayed(&self, base: &Record, changes: &Changes) -> Result<Record> {
        let draft = self.make(Some(base), base.meta(), changes, true)?;
        draft.ok_or_else(|| Error::new(ErrorKind::Internal, Operation::Encode, "no draft was made"))
    }

    /// Makes the first record of a session. `None` if there is nothing to store.
    pub(crate) fn first(&self, meta: &Meta, changes: &Changes) -> Result<Option<Record>> {
        self.make(None, meta, changes, false)
    }

    fn make(
        &self,
        base: Option<&Record>,
        meta: &Meta,
        changes: &Changes,
        always: bool,
    ) -> Result<Option<Record>> {
        match self.put_together(base, meta, changes, always, Foreign::Rewritten) {
            // A session that fits in its own format is not refused for another.
            Err(err)
                if err.kind() == ErrorKind::TooLarge
                    && base.is_some_and(|base| base.holds_foreign(self.serializers)) =>
            {
                self.put_together(base, meta, changes, always, Foreign::Kept)
            }
            made => made,
        }
    }

    fn put_together(
        &self,
        base: Option<&Record>,
        meta: &Meta,
        changes: &Changes,
        always: bool,
        foreign: Foreign,
    ) -> Result<Option<Record>> {
        let mut meta = meta.clone();
        let like = base.map_or(0, |base| base.payload.len());
        let writer = self.serializers.writer();
        let mut builder = Builder::new(writer.name(), self.max_bytes, like);
        let mut differs = always | apply_meta(&mut meta, changes);
        for space in [Space::User, Space::Flash] {
            differs |= self.fill(&mut builder, base, changes, space, foreign)?;
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
        foreign: Foreign,
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
                            base.copy(slot, to, self.serializers, foreign)?;
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

impl Record {
    /// Whether any value was written by another serializer than this program's.
    fn holds_foreign(&self, serializers: &Serializers) -> bool {
        let writer = serializers.writer().name().as_bytes();
        self.table.slots.iter().any(|slot| self.serializer(slot) != writer)
    }

    /// Copies an untouched value byte for byte, unless another serializer wrote
    /// it and it can be turned into what this program writes.
    fn copy<'a>(
        &'a self,
        slot: &Slot,
        to: &mut Builder<'a>,
        serializers: &Serializers,
        foreign: Foreign,
    ) -> Result<()> {
        let name = slot.name(&self.payload);
        let written_with = self.serializer(slot);
        let writer = serializers.writer();
        if foreign == Foreign::Rewritten
            && written_with != writer.name().as_bytes()
            && let Ok(value) = self.decode(slot, serializers)
            && to.entry(slot.space, name, 0, |out| writer.encode(&value, out)).is_ok()
        {
            return Ok(());
        }
        let serializer = to.serializer(written_with)?;
        to.entry(slot.space, name, serializer, |out| {
            out.extend_from_slice(slot.value(&self.payload));
            Ok(())
        })
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
