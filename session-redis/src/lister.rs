//! Listing all sessions: `SCAN`, server after server.

use std::collections::VecDeque;

use async_trait::async_trait;
use bytes::{Buf, BufMut};
use redis::{Cmd, Value};
use session_core::{
    Cursor, Error, ErrorKind, Operation, Page, PageRequest, Result, SessionKey, SessionLister,
};

use crate::call::{Call, Repeat};
use crate::client::Place;
use crate::error;
use crate::handler::RedisHandler;
use crate::record::{MAX_HEAD, Record};
use crate::store::{Store, failed};

/// Keys that the server shall look at in one step, at the least and at the most.
const STEP: (usize, usize) = (10, 1000);
/// Steps for one page, at the most, so that a page takes bounded time where
/// sessions are few among many other keys.
const STEPS: usize = 32;
/// Records that are looked at together.
const TOGETHER: usize = 250;
/// Sessions of earlier pages that a cursor remembers.
///
/// A scan may name a key again when the server's table has shrunk meanwhile: one
/// of those that it named last, as many as the table shrank by.
const REMEMBERED: usize = 64;

/// A place in a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Position {
    /// The first slot of the server that is being scanned.
    slot: u16,
    /// Where the scan of that server goes on.
    scan: u64,
    /// Those listed last.
    listed: VecDeque<u64>,
    /// How many of those came from the present step of the scan, which goes on
    /// although they are listed.
    partly: usize,
}

const FORMAT: u8 = 1;

impl Position {
    fn decode(cursor: &Cursor) -> Option<Self> {
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

    fn encode(&self) -> Cursor {
        let mut out = Vec::with_capacity(11 + 8 * self.listed.len());
        out.put_u8(FORMAT);
        out.put_u16_le(self.slot);
        out.put_u64_le(self.scan);
        self.listed.iter().for_each(|mark| out.put_u64_le(*mark));
        Cursor::new(out.into())
    }

    fn remember(&mut self, key: &SessionKey) {
        self.listed.push_back(mark(key));
        self.partly += 1;
        while self.listed.len() > REMEMBERED.max(self.partly) {
            self.listed.pop_front();
        }
    }

    fn knows(&self, key: &SessionKey) -> bool {
        self.listed.contains(&mark(key))
    }
}

/// Returns what a cursor remembers of a key: all its bits, folded.
fn mark(key: &SessionKey) -> u64 {
    key.as_bytes().as_chunks().0.iter().fold(0, |mark, part| mark ^ u64::from_le_bytes(*part))
}

impl Store {
    /// Reads the headers of some records. `None` for each that there is none of,
    /// and for what is not a session.
    pub(crate) async fn heads(
        &self,
        op: Operation,
        keys: &[SessionKey],
    ) -> Result<Vec<Option<Record>>> {
        let call = self.client.begin(op);
        let heads = keys.iter().map(|key| self.head(call, key));
        futures_util::future::join_all(heads).await.into_iter().collect()
    }

    async fn head(&self, call: Call<'_>, key: &SessionKey) -> Result<Option<Record>> {
        let name = self.keys.session(key);
        let mut cmd = Cmd::with_capacity(4, name.len());
        cmd.arg("GETRANGE").arg(&name).arg(0).arg(MAX_HEAD - 1);
        match call.ask(Place::Key(&name), &cmd, Repeat::Harmless).await {
            Ok(Value::BulkString(bytes)) => Ok(Record::decode(call.op, bytes.into()).ok()),
            Ok(_) => Err(error::unexpected().into_error(call.op)),
            Err(failure) if failure.kind == ErrorKind::Corrupt => Ok(None),
            Err(failure) => Err(failure.into_error(call.op)),
        }
    }

    /// Makes one step of the scan. Returns where it goes on, and whom it found.
    async fn scan(
        &self,
        place: &Position,
        pattern: &str,
        step: usize,
    ) -> Result<(u64, Vec<SessionKey>)> {
        let call = self.client.begin(Operation::List);
        let mut cmd = Cmd::with_capacity(6, pattern.len() + 64);
        cmd.arg("SCAN").arg(place.scan).arg("MATCH").arg(pattern).arg("COUNT").arg(step);
        let reply = call.ask(Place::Slot(place.slot), &cmd, Repeat::Harmless).await;
        let wrong = || error::unexpected().into_error(call.op);
        let Value::Array(reply) = reply.map_err(failed(call))? else { return Err(wrong()) };
        let Ok([Value::BulkString(next), Value::Array(names)]) = <[Value; 2]>::try_from(reply)
        else {
            return Err(wrong());
        };
        let next = std::str::from_utf8(&next).ok().and_then(|next| next.parse().ok());
        let key = |name: &Value| match name {
            Value::BulkString(name) => self.keys.parse(name),
            _ => None,
        };
        let mut keys: Vec<_> = names.iter().filter_map(key).collect();
        keys.sort_unstable();
        keys.dedup();
        Ok((next.ok_or_else(wrong)?, keys))
    }

    /// Lists sessions from a place on. Returns where to go on.
    async fn walk(
        &self,
        mut place: Position,
        limit: usize,
        mut each: impl FnMut(SessionKey, &Record),
    ) -> Result<Option<Position>> {
        let op = Operation::List;
        let slots = self.client.slots().await.map_err(|failure| failure.into_error(op))?;
        let pattern = self.keys.pattern();
        let mut room = limit.max(1);
        let mut widest = STEP.1;
        for _ in 0..STEPS {
            let step = room.max(STEP.0).min(widest);
            let (next, keys) = self.scan(&place, &pattern, step).await?;
            if keys.len() > room && step > 1 {
                // It goes on here with a smaller step, or with the next page.
                if room < limit {
                    return Ok(Some(place));
                }
                widest = step / 2;
                continue;
            }
            for some in keys.chunks(TOGETHER) {
                for (key, record) in some.iter().zip(self.heads(op, some).await?) {
                    let Some(record) = record.filter(|record| !record.header.pointer) else {
                        continue;
                    };
                    if place.knows(key) {
                        continue;
                    }
                    if room == 0 {
                        return Ok(Some(place));
                    }
                    each(*key, &record);
                    place.remember(key);
                    room -= 1;
                }
            }
            place.partly = 0;
            place.scan = next;
            if next == 0 {
                match slots.iter().find(|slot| **slot > place.slot) {
                    Some(slot) => place.slot = *slot,
                    None => return Ok(None),
                }
            }
            if room == 0 {
                break;
            }
        }
        Ok(Some(place))
    }
}

#[async_trait]
impl SessionLister for RedisHandler {
    async fn list(&self, request: &PageRequest) -> Result<Page> {
        let place = match &request.cursor {
            None => Position::default(),
            Some(cursor) => Position::decode(cursor).ok_or_else(forged)?,
        };
        let now = self.store.clock.now();
        let mut items = Vec::new();
        let each = |key, record: &Record| items.push(record.meta(key, now));
        let next = self.store.walk(place, request.limit, each).await?;
        Ok(Page::new(items, next.map(|place| place.encode())))
    }

    async fn count(&self) -> Result<u64> {
        let mut count = 0;
        let mut place = Some(Position::default());
        while let Some(here) = place {
            place = self.store.walk(here, STEP.1 * STEPS, |_, _| count += 1).await?;
        }
        Ok(count)
    }
}

fn forged() -> Error {
    let message = "the cursor is not from this listing; start again without one";
    error::new(ErrorKind::InvalidInput, Operation::List, message)
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
            assert_eq!(Position::decode(&Cursor::new(bytes::Bytes::from_static(forged))), None);
        }
    }
}
