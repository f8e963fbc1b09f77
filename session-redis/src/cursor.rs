//! Where a listing goes on, as a cursor tells it.

use std::collections::VecDeque;

use bytes::{Buf, BufMut};
use session_core::{Cursor, ErrorKind, Operation, Result, SessionKey};

use crate::error;

/// Sessions of earlier pages that a cursor remembers.
///
/// A scan may name a key again when the server's table has shrunk meanwhile: one
/// of those that it named last, as many as the table shrank by.
const REMEMBERED: usize = 64;

/// A place in a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// The first slot of the server that is being scanned.
    pub(crate) slot: u16,
    /// Where the scan of that server goes on.
    pub(crate) scan: u64,
    /// Those listed last.
    listed: VecDeque<u64>,
    /// How many of those came from the present step of the scan, which goes on
    /// although they are listed.
    pub(crate) partly: usize,
}

const FORMAT: u8 = 1;

impl Position {
    /// Reads a cursor.
    ///
    /// # Errors
    ///
    /// For one that is not from a listing of this engine.
    pub(crate) fn decode(cursor: &Cursor) -> Result<Self> {
        Self::read(cursor).ok_or_else(|| {
            let message = "the cursor is not from this listing; start again without one";
            error::new(ErrorKind::InvalidInput, Operation::List, message)
        })
    }

    fn read(cursor: &Cursor) -> Option<Self> {
        let mut bytes = &cursor.as_bytes()[..];
        if bytes.try_get_u8().ok()? != FORMAT {
            return None;
        }
        let slot = bytes.try_get_u16_le().ok()?;
        let scan = bytes.try_get_u64_le().ok()?;
        let mut listed = VecDeque::with_capacity(bytes.len() / 8);
        while bytes.has_remaining() {
            listed.push_back(bytes.try_get_u64_le().ok()?);
        }
        Some(Self { slot, scan, listed, partly: 0 })
    }

    pub(crate) fn encode(&self) -> Cursor {
        let mut out = Vec::with_capacity(11 + 8 * self.listed.len());
        out.put_u8(FORMAT);
        out.put_u16_le(self.slot);
        out.put_u64_le(self.scan);
        self.listed.iter().for_each(|mark| out.put_u64_le(*mark));
        Cursor::new(out.into())
    }

    pub(crate) fn remember(&mut self, key: &SessionKey) {
        self.listed.push_back(mark(key));
        self.partly += 1;
        while self.listed.len() > REMEMBERED.max(self.partly) {
            self.listed.pop_front();
        }
    }

    pub(crate) fn knows(&self, key: &SessionKey) -> bool {
        self.listed.contains(&mark(key))
    }
}

/// Returns what a cursor remembers of a key: all its bits, folded.
fn mark(key: &SessionKey) -> u64 {
    key.as_bytes().as_chunks().0.iter().fold(0, |mark, part| mark ^ u64::from_le_bytes(*part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> SessionKey {
        let mut bytes = [0; 32];
        bytes[31] = number;
        SessionKey::from_bytes(bytes)
    }

    #[test]
    fn a_place_goes_through_a_cursor() {
        let mut place = Position { slot: 5461, scan: u64::MAX, ..Position::default() };
        place.remember(&key(1));
        let back = Position::decode(&place.encode()).unwrap();
        assert_eq!(back, Position { partly: 0, ..place });
        assert!(back.knows(&key(1)) && !back.knows(&key(2)));
    }

    #[test]
    fn a_cursor_remembers_the_last_and_all_of_an_unfinished_step() {
        let mut place = Position::default();
        (0..=99).for_each(|number| place.remember(&key(number)));
        assert!(place.knows(&key(0)), "the step is not over");
        place.partly = 0;
        place.remember(&key(100));
        assert_eq!(place.listed.len(), REMEMBERED);
        assert!(!place.knows(&key(0)) && place.knows(&key(99)));
    }

    #[test]
    fn forged_cursors_are_refused() {
        for forged in [&b""[..], b"\x01", b"\x02aaaaaaaaaa", b"\x01aaaaaaaaaabbb"] {
            assert!(Position::decode(&Cursor::new(bytes::Bytes::from_static(forged))).is_err());
        }
    }
}
