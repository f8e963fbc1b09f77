//! Takes payloads apart.

use std::time::Duration;

use bytes::Bytes;

use super::{FLASH, Frame, KEY_LEN, MAGIC, Meta, Pointer, Slot, Slots, Table, VERSION, flag};
use crate::changes::Space;
use crate::limits::{MAX_BYTES, MAX_ENTRIES, MAX_NAME};
use crate::{Error, ErrorKind, Operation, Owner, Result, SessionKey, Timestamp};

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

/// Reads forward and never past the end.
pub(super) struct Input<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
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

    /// Reads what has its length in one byte before it.
    pub(super) fn short(&mut self) -> Result<&'a [u8]> {
        let len = usize::from(self.byte()?);
        self.take(len)
    }

    fn text(&mut self) -> Result<&'a str> {
        let text = std::str::from_utf8(self.short()?);
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

    fn slots(&mut self, serializers: usize) -> Result<Slots> {
        let count = self.len()?;
        // An entry takes three bytes at least, so a count that lies is found out
        // before anything is allocated for it.
        if count > MAX_ENTRIES || count > self.bytes.len() / 3 {
            return Err(corrupt("the record claims more keys than it has room for"));
        }
        let mut slots = Slots::with_capacity(count);
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
