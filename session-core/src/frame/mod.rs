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

mod read;
#[cfg(test)]
mod tests;
mod write;

use std::time::Duration;

use smallvec::SmallVec;

use self::read::Input;
pub(crate) use self::write::{Builder, pointer};
use crate::changes::Space;
use crate::{Owner, SessionKey, Timestamp};

const MAGIC: [u8; 3] = *b"ses";
const VERSION: u8 = 1;
/// How many bytes of its key a record carries, so that one which is copied to
/// another key is noticed.
const KEY_LEN: usize = 8;
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

/// The entries of a table. Most sessions have few keys.
pub(crate) type Slots = SmallVec<[Slot; 4]>;

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
    pub(crate) slots: Slots,
}

impl Table {
    /// Returns the name of the serializer that wrote a value.
    pub(crate) fn serializer<'a>(&self, slot: &Slot, payload: &'a [u8]) -> &'a [u8] {
        let mut names = Input { bytes: payload, at: self.serializers_at as usize };
        // The names were read once when the frame was parsed, so they are all there.
        let mut names = std::iter::repeat_with(|| names.short().unwrap_or_default());
        names.nth(slot.serializer.into()).unwrap_or_default()
    }
}
