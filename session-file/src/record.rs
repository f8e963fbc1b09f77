//! The bytes of a record.
//!
//! All numbers are little-endian, all moments milliseconds since 1970.
//!
//! ```text
//!   0  8  magic "SESSION\n"
//!   8  2  format version, 1
//!  10  1  flags: 1 = pointer
//!  11  1  length of the owner, 0 for none
//!  12  4  length of the payload
//!  16  8  version of the session
//!  24  8  created
//!  32  8  absolute deadline, 2^64-1 for none
//!  40  8  fencing token of the write, 0 for none
//!  48 32  key
//!  80  4  CRC-32 of the payload
//!  84  4  CRC-32 of bytes 0 to 83 and of the owner
//!  88  8  touched ┐
//!  96  8  expires ├ rewritten in place by a touch
//! 104  4  CRC-32  ┘ of bytes 88 to 103
//! 108     owner, then payload, then the end of the file
//! ```

use session_core::{Owner, SessionKey, SessionMeta, Timestamp};

const MAGIC: [u8; 8] = *b"SESSION\n";
const FORMAT: u16 = 1;
const POINTER: u8 = 1;

/// The length of the part before the owner.
pub(crate) const FIXED: usize = 108;
/// The longest part before the payload.
pub(crate) const MAX_HEAD: usize = FIXED + Owner::MAX_LEN;
/// Where the lifetime lies. It never crosses a 512-byte sector, so that a power
/// cut leaves the old one or the new one.
pub(crate) const LIFETIME: std::ops::Range<usize> = 88..FIXED;

/// Why a record does not verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bad {
    /// Of no length, as a power cut leaves files that were never flushed.
    Empty,
    /// Too short, too long, or of other bytes than were written.
    Damaged,
    /// Not one of our files.
    Foreign,
    /// Written by a later version of this crate.
    Future,
    /// The record of another key.
    Misplaced,
    /// Longer than the configured limit.
    TooLong,
    /// Not a plain file that only we can read.
    NotPlain,
}

impl Bad {
    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::Empty => "the record is empty, as after a power cut at durability=process",
            Self::Damaged => "the record is damaged: its length or checksum is wrong",
            Self::Foreign => "the file is not a session record; it was left alone",
            Self::Future => {
                "the record has an unknown format version; upgrade this program to read it"
            }
            Self::Misplaced => "the record belongs to another key: files were swapped or copied",
            Self::TooLong => "the record is longer than max_record_bytes; raise it to read it",
            Self::NotPlain => {
                "the record is not a plain file of this user with mode 0600 and one link"
            }
        }
    }
}

/// What comes before the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header<'a> {
    pub(crate) version: u64,
    pub(crate) created: Timestamp,
    pub(crate) absolute: Timestamp,
    pub(crate) fence: u64,
    pub(crate) pointer: bool,
    pub(crate) owner: &'a [u8],
    payload_len: u32,
    payload_crc: u32,
}

/// When a session was last used and when it ends: the part that a touch moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifetime {
    pub(crate) touched: Timestamp,
    pub(crate) expires: Timestamp,
}

impl<'a> Header<'a> {
    /// Describes a record with this payload. The caller has checked that the
    /// lengths fit.
    pub(crate) fn new(
        version: u64,
        created: Timestamp,
        absolute: Timestamp,
        owner: &'a [u8],
        payload: &[u8],
    ) -> Self {
        Self {
            version,
            created,
            absolute,
            fence: 0,
            pointer: false,
            owner,
            payload_len: u32::try_from(payload.len()).unwrap_or(u32::MAX),
            payload_crc: crc32fast::hash(payload),
        }
    }

    /// Writes everything before the payload, and returns its length.
    pub(crate) fn encode(
        &self,
        key: &SessionKey,
        lifetime: Lifetime,
        out: &mut [u8; MAX_HEAD],
    ) -> usize {
        let len = FIXED + self.owner.len();
        out[0..8].copy_from_slice(&MAGIC);
        out[8..10].copy_from_slice(&FORMAT.to_le_bytes());
        out[10] = if self.pointer { POINTER } else { 0 };
        out[11] = u8::try_from(self.owner.len()).unwrap_or(u8::MAX);
        out[12..16].copy_from_slice(&self.payload_len.to_le_bytes());
        out[16..24].copy_from_slice(&self.version.to_le_bytes());
        out[24..32].copy_from_slice(&self.created.as_millis().to_le_bytes());
        out[32..40].copy_from_slice(&self.absolute.as_millis().to_le_bytes());
        out[40..48].copy_from_slice(&self.fence.to_le_bytes());
        out[48..80].copy_from_slice(key.as_bytes());
        out[80..84].copy_from_slice(&self.payload_crc.to_le_bytes());
        out[FIXED..len].copy_from_slice(self.owner);
        let crc = head_crc(&out[..84], self.owner);
        out[84..88].copy_from_slice(&crc.to_le_bytes());
        out[LIFETIME].copy_from_slice(&lifetime.encode());
        len
    }

    /// Reads the head of a file of `size` bytes, all but the lifetime.
    pub(crate) fn decode(head: &'a [u8], size: u64, key: &SessionKey) -> Result<Self, Bad> {
        if size == 0 {
            return Err(Bad::Empty);
        }
        if head.get(..8).is_some_and(|magic| magic != MAGIC) {
            return Err(Bad::Foreign);
        }
        let Some((fixed, rest)) = head.split_at_checked(FIXED) else { return Err(Bad::Damaged) };
        let format = u16::from_le_bytes([fixed[8], fixed[9]]);
        if format != FORMAT {
            return Err(Bad::Future);
        }
        let owner = rest.get(..usize::from(fixed[11])).ok_or(Bad::Damaged)?;
        if head_crc(&fixed[..84], owner) != u32_at(fixed, 84) || fixed[10] & !POINTER != 0 {
            return Err(Bad::Damaged);
        }
        if fixed[48..80] != *key.as_bytes() {
            return Err(Bad::Misplaced);
        }
        let header = Self {
            version: u64_at(fixed, 16),
            created: moment_at(fixed, 24),
            absolute: moment_at(fixed, 32),
            fence: u64_at(fixed, 40),
            pointer: fixed[10] & POINTER != 0,
            owner,
            payload_len: u32_at(fixed, 12),
            payload_crc: u32_at(fixed, 80),
        };
        if size != (header.len() as u64) + u64::from(header.payload_len) {
            return Err(Bad::Damaged);
        }
        Ok(header)
    }

    /// Returns where the payload begins.
    pub(crate) const fn len(&self) -> usize {
        FIXED + self.owner.len()
    }

    /// Returns whether this is the payload that was written.
    pub(crate) fn fits(&self, payload: &[u8]) -> bool {
        payload.len() as u64 == u64::from(self.payload_len)
            && crc32fast::hash(payload) == self.payload_crc
    }

    /// Returns the owner under whom the index lists this record.
    pub(crate) fn indexed(&self) -> Option<&'a [u8]> {
        (!self.owner.is_empty() && !self.pointer).then_some(self.owner)
    }

    /// Describes the record for a listing.
    pub(crate) fn meta(&self, key: SessionKey, life: Lifetime, now: Timestamp) -> SessionMeta {
        let owner = std::str::from_utf8(self.owner).ok().and_then(|name| Owner::new(name).ok());
        let age = now.since(self.created);
        SessionMeta::new(key, age, now.since(life.touched), life.expires.since(now))
            .with_owner(owner)
    }
}

impl Lifetime {
    /// Returns the bytes that a touch writes in place.
    pub(crate) fn encode(self) -> [u8; LIFETIME.end - LIFETIME.start] {
        let mut out = [0; LIFETIME.end - LIFETIME.start];
        out[0..8].copy_from_slice(&self.touched.as_millis().to_le_bytes());
        out[8..16].copy_from_slice(&self.expires.as_millis().to_le_bytes());
        let crc = crc32fast::hash(&out[..16]);
        out[16..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads the bytes of a lifetime. `None` if they are damaged, or a touch is
    /// writing them right now.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let intact = bytes.len() == 20 && crc32fast::hash(&bytes[..16]) == u32_at(bytes, 16);
        intact.then(|| Self { touched: moment_at(bytes, 0), expires: moment_at(bytes, 8) })
    }

    pub(crate) fn is_live(self, now: Timestamp) -> bool {
        self.expires > now
    }
}

fn head_crc(fixed: &[u8], owner: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(fixed);
    crc.update(owner);
    crc.finalize()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}

fn moment_at(bytes: &[u8], at: usize) -> Timestamp {
    Timestamp::from_millis(u64_at(bytes, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: SessionKey = SessionKey::from_bytes([0xab; 32]);
    const LIFE: Lifetime =
        Lifetime { touched: Timestamp::from_millis(3), expires: Timestamp::from_millis(4) };

    fn record() -> Vec<u8> {
        let created = Timestamp::from_millis(1);
        let header = Header::new(7, created, Timestamp::from_millis(9), b"ann", b"payload");
        let mut head = [0; MAX_HEAD];
        let len = header.encode(&KEY, LIFE, &mut head);
        [&head[..len], b"payload"].concat()
    }

    /// If this fails, records on people's disks have become unreadable.
    #[test]
    fn the_format_is_frozen() {
        let mut expected = b"SESSION\n\x01\0\0\x03\x07\0\0\0\x07\0\0\0\0\0\0\0".to_vec();
        expected.extend(b"\x01\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        expected.extend([0xab; 32]);
        let record = record();
        assert_eq!(record[..80], expected);
        assert_eq!(record[80..84], crc32fast::hash(b"payload").to_le_bytes());
        assert_eq!(record[88..104], *b"\x03\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0");
        assert_eq!(record[108..], *b"annpayload");
        assert_eq!(crc32fast::hash(&record), 3_750_265_809, "all of it, checksums included");
    }

    #[test]
    fn what_was_written_is_read() {
        let record = record();
        let header = Header::decode(&record, record.len() as u64, &KEY).unwrap();
        assert_eq!((header.version, header.owner, header.pointer), (7, &b"ann"[..], false));
        assert!(header.fits(&record[header.len()..]));
        assert_eq!(Lifetime::decode(&record[LIFETIME]), Some(LIFE));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let good = record();
        let verifies = |bytes: &[u8]| {
            let Ok(header) = Header::decode(bytes, bytes.len() as u64, &KEY) else { return false };
            header.fits(&bytes[header.len()..]) && Lifetime::decode(&bytes[LIFETIME]).is_some()
        };
        assert!(verifies(&good));
        for bit in 0..good.len() * 8 {
            let mut flipped = good.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!verifies(&flipped), "bit {bit}");
        }
        for len in 0..good.len() {
            assert!(!verifies(&good[..len]), "cut to {len}");
        }
        assert!(!verifies(&[&good[..], b"x"].concat()), "a byte too many");
    }

    #[test]
    fn damage_is_told_from_foreign_and_future_files() {
        let mut future = record();
        future[8] = 2;
        let read = |bytes: &[u8], key| Header::decode(bytes, bytes.len() as u64, key).unwrap_err();
        assert_eq!(read(&future, &KEY), Bad::Future);
        assert_eq!(read(b"#!/bin/sh\n", &KEY), Bad::Foreign);
        assert_eq!(read(b"", &KEY), Bad::Empty);
        assert_eq!(read(&record(), &SessionKey::from_bytes([1; 32])), Bad::Misplaced);
    }
}
