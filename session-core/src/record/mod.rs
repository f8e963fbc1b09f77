//! A stored session whose values are decoded only when they are asked for.

mod view;
mod write;

use std::fmt;

use bytes::Bytes;

pub(crate) use self::view::View;
pub(crate) use self::write::RecordWriter;
use crate::changes::Space;
use crate::frame::{Meta, Slot, Table};
use crate::{Result, Serializers, Value};

/// A stored session, or one that is ready to be stored, whose values are decoded
/// only when they are asked for.
#[derive(Clone)]
pub(crate) struct Record {
    payload: Bytes,
    table: Table,
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
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("bytes", &self.payload.len())
            .field("keys", &self.table.slots.len())
            .finish_non_exhaustive()
    }
}
