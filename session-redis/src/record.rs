//! The value under a session's key: a header, the owner's name, the payload.

use std::time::Duration;

use bytes::Bytes;
use session_core::{
    Error, ErrorKind, Operation, Owner, SessionKey, SessionMeta, Timestamp, Version,
};

use crate::error;

/// Bytes before the owner's name.
pub(crate) const HEAD: usize = 72;
/// The most bytes before the payload.
pub(crate) const MAX_HEAD: usize = HEAD + Owner::MAX_LEN;
/// What a record begins with. The last byte is the version of the format.
pub(crate) const MAGIC: [u8; 4] = *b"SES\x01";

const POINTER: u8 = 1;

/// The longest lifetime in milliseconds, 35,000 years: a number that the
/// server's scripts, which count in floating point, still know exactly.
const MAX_LIFETIME: u64 = 1 << 50;
/// Milliseconds by which clocks of machines that are kept in step may differ.
const SKEW: u64 = 1000;

/// What a record says about itself.
///
/// Lifetimes are durations that count from `touched`, a moment that the server
/// never looks at: it measures them by what is left until the key expires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) pointer: bool,
    pub(crate) owner_len: u8,
    /// Names this state of the session. Every write draws another.
    pub(crate) version: u64,
    /// The lock under which it was written, 0 for none.
    pub(crate) fence: u64,
    /// When the session began, in milliseconds of the writer's clock.
    pub(crate) created: u64,
    /// The score of the owner's entry, 0 if the record is not indexed.
    pub(crate) entry: u64,
    /// For how long that entry stays for sure.
    pub(crate) covered: u64,
    /// When it was last written or touched, in milliseconds of the writer's clock.
    pub(crate) touched: u64,
    /// For how long it lives.
    pub(crate) lifetime: u64,
    /// The longest that touches can make it live, 0 for no limit.
    pub(crate) absolute: u64,
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; HEAD] {
        let mut out = [0; HEAD];
        out[..4].copy_from_slice(&MAGIC);
        out[4] = if self.pointer { POINTER } else { 0 };
        out[5] = self.owner_len;
        let numbers = [
            self.version,
            self.fence,
            self.created,
            self.entry,
            self.covered,
            self.touched,
            self.lifetime,
            self.absolute,
        ];
        for (place, number) in out[8..].chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        out
    }

    /// Reads the header of a value, or of its beginning.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let head: &[u8; HEAD] = bytes.first_chunk()?;
        if head[..4] != MAGIC {
            return None;
        }
        let mut numbers = head[8..].as_chunks().0.iter().map(|number| u64::from_le_bytes(*number));
        let mut next = || numbers.next();
        Some(Self {
            pointer: head[4] & POINTER != 0,
            owner_len: head[5],
            version: next()?,
            fence: next()?,
            created: next()?,
            entry: next()?,
            covered: next()?,
            touched: next()?,
            lifetime: next()?,
            absolute: next()?,
        })
    }

    /// Returns what is left of the lifetime by a reader's clock: at least a
    /// millisecond, as the server still has the record. `None` if the clocks of
    /// writer and reader disagree so much that they cannot tell.
    pub(crate) fn remaining(&self, now: Timestamp) -> Option<Duration> {
        let (now, end) = (now.as_millis(), self.touched.saturating_add(self.lifetime));
        let (early, late) = (self.touched.saturating_sub(now), now.saturating_sub(end));
        if early.max(late) > SKEW {
            return None;
        }
        Some(Duration::from_millis(end.saturating_sub(now).clamp(1, self.lifetime.max(1))))
    }
}

/// A record as the server sent it: whole, or only up to the payload.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) header: Header,
    bytes: Bytes,
}

impl Record {
    /// Takes a reply apart without copying it.
    pub(crate) fn decode(op: Operation, bytes: Bytes) -> Result<Self, Error> {
        let header = Header::decode(&bytes)
            .filter(|header| bytes.len() >= HEAD + usize::from(header.owner_len))
            .ok_or_else(|| foreign(op))?;
        Ok(Self { header, bytes })
    }

    pub(crate) fn owner(&self) -> &[u8] {
        &self.bytes[HEAD..HEAD + usize::from(self.header.owner_len)]
    }

    pub(crate) fn payload(&self) -> Bytes {
        self.bytes.slice(HEAD + usize::from(self.header.owner_len)..)
    }

    /// Returns the whole value.
    pub(crate) fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// Describes a session for a list.
    pub(crate) fn meta(&self, key: SessionKey, now: Timestamp) -> SessionMeta {
        let since = |moment| now.since(Timestamp::from_millis(moment));
        let Header { created, touched, lifetime, .. } = self.header;
        let remaining =
            self.header.remaining(now).unwrap_or_else(|| Duration::from_millis(lifetime));
        let owner = std::str::from_utf8(self.owner()).ok().and_then(|name| Owner::new(name).ok());
        SessionMeta::new(key, since(created), since(touched), remaining).with_owner(owner)
    }
}

/// Returns a duration in milliseconds. Parts of one count as a whole one, so
/// that nothing ends early and only nothing is nothing.
pub(crate) fn millis(duration: Duration) -> u64 {
    Timestamp::default().after(duration).as_millis().min(MAX_LIFETIME)
}

/// Returns a version as it stands in a record. One that is not of this engine
/// is one that no record has.
pub(crate) fn expected(version: &Version) -> [u8; 8] {
    version.as_counter().unwrap_or(0).to_le_bytes()
}

/// Something under a session's key is not a session.
pub(crate) fn foreign(op: Operation) -> Error {
    error::new(
        ErrorKind::Corrupt,
        op,
        "something under a session's key is not a session; give this program a prefix of its own",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            pointer: true,
            owner_len: 3,
            version: 1,
            fence: 2,
            created: 3,
            entry: 4,
            covered: 5,
            touched: 6,
            lifetime: 7,
            absolute: 8,
        }
    }

    /// If this fails, stored sessions have become unreadable.
    #[test]
    fn the_format_is_frozen() {
        let mut expected = b"SES\x01\x01\x03\0\0".to_vec();
        for number in 1_u64..=8 {
            expected.extend(number.to_le_bytes());
        }
        assert_eq!(header().encode()[..], expected);
    }

    #[test]
    fn a_record_is_taken_apart_as_it_was_put_together() {
        let value = [&header().encode()[..], b"annpayload"].concat();
        let record = Record::decode(Operation::Read, value.into()).unwrap();
        assert_eq!(record.header, header());
        assert_eq!(record.owner(), b"ann");
        assert_eq!(record.payload(), "payload");
    }

    #[test]
    fn what_is_not_a_record_is_corrupt() {
        let cut = [&header().encode()[..], b"an"].concat();
        let mut later = header().encode();
        later[3] = 2;
        for bad in [&b""[..], b"hello", &[0; 200], &header().encode()[..70], &cut, &later] {
            let result = Record::decode(Operation::Read, Bytes::copy_from_slice(bad));
            assert_eq!(result.unwrap_err().kind(), ErrorKind::Corrupt);
        }
    }

    #[test]
    fn clocks_that_disagree_cannot_tell_what_remains() {
        let header = Header { touched: 2000, lifetime: 500, ..Header::default() };
        let at = |millis| header.remaining(Timestamp::from_millis(millis));
        assert_eq!(at(2000), Some(Duration::from_millis(500)));
        assert_eq!(at(2499), Some(Duration::from_millis(1)));
        assert_eq!(at(2500 + SKEW + 1), None);
        assert_eq!(at(1999 - SKEW), None);
    }

    #[test]
    fn clocks_that_almost_agree_tell_what_remains_at_both_ends() {
        let header = Header { touched: 2000, lifetime: 500, ..Header::default() };
        let at = |millis| header.remaining(Timestamp::from_millis(millis));
        assert_eq!(at(2000 - SKEW), Some(Duration::from_millis(500)));
        assert_eq!(at(2500), Some(Duration::from_millis(1)));
        assert_eq!(at(2500 + SKEW), Some(Duration::from_millis(1)));
    }

    #[test]
    fn durations_are_rounded_up_and_bounded() {
        assert_eq!(millis(Duration::ZERO), 0);
        assert_eq!(millis(Duration::from_nanos(1)), 1);
        assert_eq!(millis(Duration::from_micros(1500)), 2);
        assert_eq!(millis(Duration::MAX), MAX_LIFETIME);
    }
}
