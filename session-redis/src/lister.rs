//! Listing all sessions: `SCAN`, server after server.

use async_trait::async_trait;
use redis::{Cmd, Value};
use session_core::{Operation, Page, PageRequest, Result, SessionKey, SessionLister};

use crate::call::Repeat;
use crate::client::Place;
use crate::cursor::Position;
use crate::error;
use crate::handler::RedisHandler;
use crate::record::Record;
use crate::store::{Store, failed};

/// Keys that the server shall look at in one step, at the least and at the most.
const STEP: (usize, usize) = (10, 1000);
/// Steps for one page, at the most, so that a page takes bounded time where
/// sessions are few among many other keys.
const STEPS: usize = 32;
/// Records that are looked at together.
const TOGETHER: usize = 250;
impl Store {
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
        let call = self.client.begin(op);
        let slots = call.slots().await.map_err(failed(call))?;
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
            Some(cursor) => Position::decode(cursor)?,
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
