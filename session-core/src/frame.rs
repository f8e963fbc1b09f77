//! The bytes of a record: a versioned header, a table of keys, and their values.
//!
//! ```text
//! magic "ses", version 1                          4 bytes
//! flags                                           1 byte
//! first bytes of the key it is stored under       8 bytes
//! created                                         8 bytes, milliseconds, little-endian
//!
//! a pointer goes on with:
//!   key of the new record                        32 bytes
//!   until when the old id reads                   8 bytes
//!
//! a session goes on with, each if its flag says so:
//!   absolute deadline, idle lifetime, time of authentication     8 bytes each
//!   owner                                         length byte, text
//! and then:
//!   serializers                                   count byte, each a length byte and a name
//!   entries                                       count, then for each, sorted by space and name:
//!     space (top bit) and serializer (low bits)   1 byte
//!     length of name, length of value, name
//!   values, in the order of the entries
//! ```
//!
//! Counts and lengths are LEB128. A reader takes exactly these bytes or none.

use std::time::Duration;

use bytes::Bytes;

use crate::changes::Space;
use crate::policy::MAX_BYTES;
use crate::{Error, ErrorKind, Operation, Owner, Result, SessionKey, Timestamp};

const MAGIC: [u8; 3] = *b"ses";
const VERSION: u8 = 1;
/// How many bytes of its key a record carries, so that one which is copied to
/// another key is noticed.
const KEY_LEN: usize = 8;
/// The longest name of a value, in bytes.
pub(crate) const MAX_NAME: usize = 1024;
/// The most names that any policy allows.
pub(crate) const MAX_ENTRIES: usize = 1 << 16;
/// The top bit of an entry tells the space, the rest the serializer.
const FLASH: u8 = 0x80;

mod flag {
    pub(super) const POINTER: u8 = 1;
    pub(super) const ABSOLUTE: u8 = 1 << 1;
    pub(super) const IDLE: u8 = 1 << 2;
    pub(super) const AUTHENTICATED: u8 = 1 << 3;
    pub(super) const OWNER: u8 = 1 << 4;
    pub(super) const PERSIST_SET: u8 = 1 << 5;
    pub(super) const PERSIST: u8 = 1 << 6;
}

/// What a session knows about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) created: Timestamp,
    pub(crate) absolute: Option<Timestamp>,
    /// The session's own idle lifetime; `None` for the policy's.
    pub(crate) idle: Option<Duration>,
    pub(crate) authenticated: Option<Timestamp>,
    pub(crate) owner: Option<Owner>,
    /// Whether the cookie outlives the browser; `None` for the policy's answer.
    pub(crate) persistent: Option<bool>,
}

/// What a change of id leaves behind under the old key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pointer {
    pub(crate) target: SessionKey,
    pub(crate) readable_until: Timestamp,
}

/// One entry of the table: where its name and its value lie in the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    name_at: u32,
    name_len: u16,
    pub(crate) serializer: u8,
    pub(crate) space: Space,
    value_at: u32,
    value_len: u32,
}

impl Slot {
    pub(crate) fn name<'a>(&self, payload: &'a [u8]) -> &'a [u8] {
        &payload[self.name_at as usize..][..usize::from(self.name_len)]
    }

    pub(crate) fn value<'a>(&self, payload: &'a [u8]) -> &'a [u8] {
        &payload[self.value_at as usize..][..self.value_len as usize]
    }
}

/// A payload taken apart, without any value decoded.
#[derive(Debug)]
pub(crate) enum Frame {
    Session(Table),
    Pointer(Pointer),
}

/// The parts of a session's payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) meta: Meta,
    /// Where the names of the serializers begin.
    serializers_at: u32,
    /// Sorted by space and name, without duplicates.
    pub(crate) slots: Vec<Slot>,
}

impl Table {
    /// Returns the name of the serializer that wrote a value.
    pub(crate) fn serializer<'a>(&self, slot: &Slot, payload: &'a [u8]) -> &'a str {
        let mut names = Input { bytes: payload, at: self.serializers_at as usize };
        // The names were read once when the frame was parsed, so they are all there.
        let mut names = std::iter::repeat_with(|| names.text().unwrap_or_default());
        names.nth(slot.serializer.into()).unwrap_or_default()
    }
}

impl Frame {
    /// Takes a payload apart.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if it is not a record of this format and version,
    /// whole, and stored under its own key.
    pub(crate) fn parse(payload: &Bytes, key: &SessionKey) -> Result<Self> {
        if payload.len() > MAX_BYTES {
            return Err(corrupt("the record is over 4 MiB"));
        }
        let mut input = Input { bytes: payload, at: 0 };
        if input.take(3)? != MAGIC {
            return Err(corrupt("the record is not one of ours"));
        }
        if input.byte()? != VERSION {
            return Err(corrupt("the record has a version that this program does not know"));
        }
        let flags = input.byte()?;
        if input.take(KEY_LEN)? != &key.as_bytes()[..KEY_LEN] {
            return Err(corrupt("the record belongs to another key"));
        }
        let created = input.timestamp()?;
        if flags & flag::POINTER != 0 {
            let target: [u8; 32] = input.take(32)?.try_into().map_err(|_| cut_short())?;
            let target = SessionKey::from_bytes(target);
            let pointer = Pointer { target, readable_until: input.timestamp()? };
            input.end()?;
            return Ok(Self::Pointer(pointer));
        }
        let absolute = input.timestamp_if(flags & flag::ABSOLUTE)?;
        let idle = input.timestamp_if(flags & flag::IDLE)?;
        let authenticated = input.timestamp_if(flags & flag::AUTHENTICATED)?;
        let owner = if flags & flag::OWNER == 0 { None } else { Some(input.owner()?) };
        let persistent = (flags & flag::PERSIST_SET != 0).then_some(flags & flag::PERSIST != 0);
        let idle = idle.map(|idle| Duration::from_millis(idle.as_millis()));
        let meta = Meta { created, absolute, idle, authenticated, owner, persistent };
        let (serializers_at, serializers) = input.serializers()?;
        let slots = input.slots(serializers)?;
        Ok(Self::Session(Table { meta, serializers_at, slots }))
    }
}

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
    table: Vec<u8>,
    values: Vec<u8>,
    /// As they will be, but for where table and values begin.
    slots: Vec<Slot>,
    writer: &'a str,
    /// Others that wrote values which stay as they are.
    others: Vec<&'a str>,
    max_bytes: usize,
}

impl<'a> Builder<'a> {
    /// Begins a payload that has about the size of `like`.
    pub(crate) fn new(writer: &'a str, max_bytes: usize, like: usize) -> Self {
        Self {
            table: Vec::with_capacity(64),
            values: Vec::with_capacity(like + 64),
            slots: Vec::new(),
            writer,
            others: Vec::new(),
            max_bytes,
        }
    }

    pub(crate) const fn entries(&self) -> usize {
        self.slots.len()
    }

    /// Adds an entry whose value `write` appends. Index 0 is the writing serializer.
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
        write(&mut self.values)?;
        let value_len = self.values.len() - before;
        if self.values.len() + self.table.len() > self.max_bytes {
            return Err(too_large(
                "the session would pass the size limit; store less, or raise `max_bytes`",
            ));
        }
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
    pub(crate) fn serializer(&mut self, name: &'a str) -> Result<u8> {
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
            put_text(&mut out, owner.as_str());
        }
        put_len(&mut out, 1 + self.others.len());
        let serializers_at = out.len() as u32;
        put_text(&mut out, self.writer);
        self.others.iter().for_each(|name| put_text(&mut out, name));
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

fn header(out: &mut Vec<u8>, flags: u8, key: &SessionKey, created: Timestamp) {
    out.extend_from_slice(&MAGIC);
    out.push(VERSION);
    out.push(flags);
    out.extend_from_slice(&key.as_bytes()[..KEY_LEN]);
    put_timestamp(out, created);
}

fn put_timestamp(out: &mut Vec<u8>, moment: Timestamp) {
    out.extend_from_slice(&moment.as_millis().to_le_bytes());
}

/// Writes a text of at most 255 bytes; owners and serializers have no longer ones.
fn put_text(out: &mut Vec<u8>, text: &str) {
    let len = u8::try_from(text.len()).unwrap_or(u8::MAX);
    out.push(len);
    out.extend_from_slice(&text.as_bytes()[..usize::from(len)]);
}

fn put_len(out: &mut Vec<u8>, mut len: usize) {
    while len >= 0x80 {
        out.push((len & 0x7f) as u8 | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
}

/// Reads forward and never past the end.
struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(len).ok_or_else(cut_short)?;
        let taken = self.bytes.get(self.at..end).ok_or_else(cut_short)?;
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8> {
        let byte = *self.bytes.get(self.at).ok_or_else(cut_short)?;
        self.at += 1;
        Ok(byte)
    }

    /// Reads a length of at most four LEB128 bytes, in its shortest form.
    fn len(&mut self) -> Result<usize> {
        let mut len = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            len |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                if byte == 0 && shift > 0 {
                    return Err(corrupt("a length in the record is not in its shortest form"));
                }
                return Ok(len);
            }
        }
        Err(corrupt("a length in the record is too large"))
    }

    fn timestamp(&mut self) -> Result<Timestamp> {
        let bytes = self.take(8)?.try_into().map_err(|_| cut_short())?;
        Ok(Timestamp::from_millis(u64::from_le_bytes(bytes)))
    }

    fn timestamp_if(&mut self, flag: u8) -> Result<Option<Timestamp>> {
        if flag == 0 { Ok(None) } else { self.timestamp().map(Some) }
    }

    fn text(&mut self) -> Result<&'a str> {
        let len = usize::from(self.byte()?);
        let text = std::str::from_utf8(self.take(len)?);
        text.map_err(|_| corrupt("a text in the record is not UTF-8"))
    }

    fn owner(&mut self) -> Result<Owner> {
        Owner::new(self.text()?).map_err(|_| corrupt("the record's owner has no name"))
    }

    /// Reads the names of the serializers; returns where they begin and how many they are.
    fn serializers(&mut self) -> Result<(u32, usize)> {
        let count = self.len()?;
        if count == 0 || count >= usize::from(FLASH) {
            return Err(corrupt("the record names no serializer, or too many"));
        }
        let at = u32::try_from(self.at).map_err(|_| cut_short())?;
        (0..count).try_for_each(|_| self.text().map(drop))?;
        Ok((at, count))
    }

    fn slots(&mut self, serializers: usize) -> Result<Vec<Slot>> {
        let count = self.len()?;
        // An entry takes three bytes at least, so a count that lies is found out
        // before anything is allocated for it.
        if count > MAX_ENTRIES || count > self.bytes.len() / 3 {
            return Err(corrupt("the record claims more keys than it has room for"));
        }
        let mut slots: Vec<Slot> = Vec::with_capacity(count);
        for _ in 0..count {
            let slot = self.slot(serializers)?;
            if let Some(last) = slots.last() {
                let order = (last.space, last.name(self.bytes));
                if order >= (slot.space, slot.name(self.bytes)) {
                    return Err(corrupt("the record's keys are not in order"));
                }
            }
            slots.push(slot);
        }
        for slot in &mut slots {
            slot.value_at = u32::try_from(self.at).map_err(|_| cut_short())?;
            self.take(slot.value_len as usize)?;
        }
        self.end()?;
        Ok(slots)
    }

    fn slot(&mut self, serializers: usize) -> Result<Slot> {
        let tag = self.byte()?;
        let space = if tag & FLASH == 0 { Space::User } else { Space::Flash };
        let serializer = tag & !FLASH;
        if usize::from(serializer) >= serializers {
            return Err(corrupt("a value in the record has no serializer"));
        }
        let name_len = self.len()?;
        let value_len = self.len()?;
        if name_len > MAX_NAME {
            return Err(corrupt("a key in the record is too long"));
        }
        let name_at = self.at;
        let name = self.take(name_len)?;
        std::str::from_utf8(name).map_err(|_| corrupt("a key in the record is not UTF-8"))?;
        Ok(Slot {
            name_at: u32::try_from(name_at).map_err(|_| cut_short())?,
            name_len: u16::try_from(name_len).map_err(|_| cut_short())?,
            serializer,
            space,
            value_at: 0,
            value_len: u32::try_from(value_len).map_err(|_| cut_short())?,
        })
    }

    fn end(&self) -> Result<()> {
        if self.at == self.bytes.len() {
            Ok(())
        } else {
            Err(corrupt("the record goes on after its end"))
        }
    }
}

fn corrupt(message: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt, Operation::Decode, message)
}

fn cut_short() -> Error {
    corrupt("the record is cut short")
}

fn too_large(message: &'static str) -> Error {
    Error::new(ErrorKind::TooLarge, Operation::Encode, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: SessionKey = SessionKey::from_bytes([7; 32]);

    fn meta() -> Meta {
        Meta {
            created: Timestamp::from_millis(1),
            absolute: Some(Timestamp::from_millis(2)),
            idle: Some(Duration::from_millis(3)),
            authenticated: Some(Timestamp::from_millis(4)),
            owner: Some(Owner::new("ann").unwrap()),
            persistent: Some(true),
        }
    }

    fn sample() -> Bytes {
        built().0
    }

    fn built() -> (Bytes, Table) {
        let mut builder = Builder::new("w", 1000, 0);
        let put = |bytes: &'static [u8]| {
            move |out: &mut Vec<u8>| {
                out.extend_from_slice(bytes);
                Ok(())
            }
        };
        builder.entry(Space::User, b"a", 0, put(b"one")).unwrap();
        let old = builder.serializer("old").unwrap();
        builder.entry(Space::User, b"b", old, put(b"")).unwrap();
        builder.entry(Space::Flash, b"a", 0, put(b"two")).unwrap();
        builder.finish(meta(), &KEY).unwrap()
    }

    #[test]
    fn what_was_put_together_comes_apart_the_same() {
        let payload = sample();
        let Frame::Session(table) = Frame::parse(&payload, &KEY).unwrap() else { panic!() };
        assert_eq!(table.meta, meta());
        let parts: Vec<_> = table
            .slots
            .iter()
            .map(|slot| {
                let serializer = table.serializer(slot, &payload);
                (slot.space, slot.name(&payload), serializer, slot.value(&payload))
            })
            .collect();
        assert_eq!(parts[0], (Space::User, &b"a"[..], "w", &b"one"[..]));
        assert_eq!(parts[1], (Space::User, &b"b"[..], "old", &b""[..]));
        assert_eq!(parts[2], (Space::Flash, &b"a"[..], "w", &b"two"[..]));
    }

    #[test]
    fn a_table_that_was_built_is_the_one_that_parsing_gives() {
        let (payload, built) = built();
        let Frame::Session(parsed) = Frame::parse(&payload, &KEY).unwrap() else { panic!() };
        assert_eq!(built, parsed);
    }

    /// If this fails, stored sessions have become unreadable.
    #[test]
    fn the_format_is_frozen() {
        let hex = data_encoding::HEXLOWER.encode(&sample());
        let expected = concat!(
            "73657301",
            "7e",
            "0707070707070707",
            "0100000000000000",
            "0200000000000000",
            "0300000000000000",
            "0400000000000000",
            "03616e6e",
            "02",
            "0177",
            "036f6c64",
            "03",
            "00010361",
            "01010062",
            "80010361",
            "6f6e65",
            "74776f",
        );
        assert_eq!(hex, expected);
    }

    #[test]
    fn a_pointer_comes_apart_the_same() {
        let target = SessionKey::from_bytes([9; 32]);
        let made = Pointer { target, readable_until: Timestamp::from_millis(5) };
        let payload = pointer(&KEY, Timestamp::from_millis(1), &made);
        let Frame::Pointer(read) = Frame::parse(&payload, &KEY).unwrap() else { panic!() };
        assert_eq!(read, made);
    }

    #[test]
    fn a_record_under_another_key_is_refused() {
        let err = Frame::parse(&sample(), &SessionKey::from_bytes([8; 32])).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn a_record_that_is_cut_or_longer_is_refused() {
        let payload = sample();
        for len in 0..payload.len() {
            let err = Frame::parse(&payload.slice(..len), &KEY).unwrap_err();
            assert_eq!(err.kind(), ErrorKind::Corrupt, "{len}");
        }
        let longer = Bytes::from([&payload[..], b"x"].concat());
        assert_eq!(Frame::parse(&longer, &KEY).unwrap_err().kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn no_changed_byte_makes_a_panic() {
        let payload = sample();
        for at in 0..payload.len() {
            for bit in 0..8 {
                let mut bytes = payload.to_vec();
                bytes[at] ^= 1 << bit;
                drop(Frame::parse(&bytes.into(), &KEY));
            }
        }
    }

    #[test]
    fn a_count_that_lies_is_found_out_before_it_costs_memory() {
        let mut bytes = Vec::new();
        header(&mut bytes, 0, &KEY, Timestamp::default());
        bytes.extend_from_slice(&[1, 1, b'w', 0xff, 0xff, 0x03]);
        assert_eq!(Frame::parse(&bytes.into(), &KEY).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}
