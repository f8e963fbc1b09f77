//! Puts payloads together.

use bytes::Bytes;
use smallvec::SmallVec;

use super::{FLASH, KEY_LEN, MAGIC, Meta, Pointer, Slot, Slots, Table, VERSION, flag};
use crate::changes::Space;
use crate::limits::MAX_NAME;
use crate::{Error, ErrorKind, Operation, Result, SessionKey, Timestamp};

/// Returns the payload of a pointer.
pub(crate) fn pointer(key: &SessionKey, created: Timestamp, pointer: &Pointer) -> Bytes {
    let mut out = Vec::with_capacity(4 + 1 + KEY_LEN + 8 + 32 + 8);
    header(&mut out, flag::POINTER, key, created);
    out.extend_from_slice(pointer.target.as_bytes());
    put_timestamp(&mut out, pointer.readable_until);
    out.into()
}

/// Puts a session's payload together, entry by entry, in the order of the table.
#[derive(Debug)]
pub(crate) struct Builder<'a> {
    table: SmallVec<[u8; 128]>,
    values: Vec<u8>,
    /// As they will be, but for where table and values begin.
    slots: Slots,
    writer: &'a [u8],
    /// Others that wrote values which stay as they are.
    others: Vec<&'a [u8]>,
    max_bytes: usize,
}

impl<'a> Builder<'a> {
    /// Begins a payload that has about the size of `like`.
    pub(crate) fn new(writer: &'a str, max_bytes: usize, like: usize) -> Self {
        Self {
            table: SmallVec::new(),
            values: Vec::with_capacity(like + 64),
            slots: Slots::new(),
            writer: writer.as_bytes(),
            others: Vec::new(),
            max_bytes,
        }
    }

    pub(crate) fn entries(&self) -> usize {
        self.slots.len()
    }

    /// Adds an entry whose value `write` appends. Index 0 is the writing serializer.
    /// On an error nothing is added.
    pub(crate) fn entry(
        &mut self,
        space: Space,
        name: &[u8],
        serializer: u8,
        write: impl FnOnce(&mut Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        if name.len() > MAX_NAME {
            return Err(too_large("a key has more than 1024 bytes; shorten it"));
        }
        let before = self.values.len();
        let written = write(&mut self.values).and_then(|()| {
            if self.values.len() + self.table.len() > self.max_bytes {
                return Err(too_large(
                    "the session would pass the size limit; store less, or raise `max_bytes`",
                ));
            }
            Ok(())
        });
        if let Err(err) = written {
            self.values.truncate(before);
            return Err(err);
        }
        let value_len = self.values.len() - before;
        let flag = if space == Space::Flash { FLASH } else { 0 };
        self.table.push(flag | serializer);
        put_len(&mut self.table, name.len());
        put_len(&mut self.table, value_len);
        // All of these are far below 4 GiB: the sizes were checked.
        self.slots.push(Slot {
            name_at: self.table.len() as u32,
            name_len: name.len() as u16,
            serializer,
            space,
            value_at: before as u32,
            value_len: value_len as u32,
        });
        self.table.extend_from_slice(name);
        Ok(())
    }

    /// Returns the number by which entries name a serializer.
    pub(crate) fn serializer(&mut self, name: &'a [u8]) -> Result<u8> {
        if name == self.writer {
            return Ok(0);
        }
        let known = self.others.iter().position(|known| *known == name);
        let index = known.unwrap_or_else(|| {
            self.others.push(name);
            self.others.len() - 1
        });
        u8::try_from(index + 1)
            .ok()
            .filter(|index| index & FLASH == 0)
            .ok_or_else(|| too_large("a session holds values of more than 128 serializers"))
    }

    /// Returns the payload, and what taking it apart would give.
    pub(crate) fn finish(mut self, meta: Meta, key: &SessionKey) -> Result<(Bytes, Table)> {
        let mut flags = 0;
        let mut set = |present: bool, flag| flags |= if present { flag } else { 0 };
        set(meta.absolute.is_some(), flag::ABSOLUTE);
        set(meta.idle.is_some(), flag::IDLE);
        set(meta.authenticated.is_some(), flag::AUTHENTICATED);
        set(meta.owner.is_some(), flag::OWNER);
        set(meta.persistent.is_some(), flag::PERSIST_SET);
        set(meta.persistent == Some(true), flag::PERSIST);

        let mut names = std::iter::once(&self.writer).chain(&self.others);
        if names.any(|name| name.len() > usize::from(u8::MAX)) {
            return Err(too_large("a serializer's name has at most 255 bytes; shorten it"));
        }
        let mut out = Vec::with_capacity(self.table.len() + self.values.len() + 128);
        header(&mut out, flags, key, meta.created);
        let idle = meta.idle.map(|idle| Timestamp::default().after(idle));
        for moment in [meta.absolute, idle, meta.authenticated].into_iter().flatten() {
            put_timestamp(&mut out, moment);
        }
        if let Some(owner) = &meta.owner {
            put_short(&mut out, owner.as_str().as_bytes());
        }
        put_len(&mut out, 1 + self.others.len());
        let serializers_at = out.len() as u32;
        put_short(&mut out, self.writer);
        self.others.iter().for_each(|name| put_short(&mut out, name));
        put_len(&mut out, self.slots.len());
        let table_at = out.len() as u32;
        out.extend_from_slice(&self.table);
        let values_at = out.len() as u32;
        out.extend_from_slice(&self.values);
        if out.len() > self.max_bytes {
            return Err(too_large(
                "the session would pass the size limit; store less, or raise `max_bytes`",
            ));
        }
        for slot in &mut self.slots {
            slot.name_at += table_at;
            slot.value_at += values_at;
        }
        Ok((out.into(), Table { meta, serializers_at, slots: self.slots }))
    }
}

pub(super) fn header(out: &mut Vec<u8>, flags: u8, key: &SessionKey, created: Timestamp) {
    out.extend_from_slice(&MAGIC);
    out.push(VERSION);
    out.push(flags);
    out.extend_from_slice(&key.as_bytes()[..KEY_LEN]);
    put_timestamp(out, created);
}

fn put_timestamp(out: &mut Vec<u8>, moment: Timestamp) {
    out.extend_from_slice(&moment.as_millis().to_le_bytes());
}

/// Writes at most 255 bytes; owners and serializers have no longer names.
fn put_short(out: &mut Vec<u8>, text: &[u8]) {
    let len = u8::try_from(text.len()).unwrap_or(u8::MAX);
    out.push(len);
    out.extend_from_slice(&text[..usize::from(len)]);
}

fn put_len(out: &mut impl Extend<u8>, mut len: usize) {
    while len >= 0x80 {
        out.extend([(len & 0x7f) as u8 | 0x80]);
        len >>= 7;
    }
    out.extend([len as u8]);
}

fn too_large(message: &'static str) -> Error {
    Error::new(ErrorKind::TooLarge, Operation::Encode, message)
}
