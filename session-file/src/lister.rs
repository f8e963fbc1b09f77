//! Listing all sessions, a shard at a time and in the order of their keys.

use async_trait::async_trait;
use rustix::fs::OFlags;
use session_core::{
    Cursor, ErrorKind, Operation, Page, PageRequest, Result, SessionKey, SessionLister, SessionMeta,
};

use crate::error::NAME;
use crate::handler::FileHandler;
use crate::layout::Entry;
use crate::plain::Head;
use crate::store::{Store, shard_of};
use crate::{error, io};

impl Store {
    /// Shows the records after `after` to `visit`, at most `limit`, in the order
    /// of their keys. Returns the last key of a walk that did not get to the end.
    fn walk(
        &self,
        after: Option<SessionKey>,
        limit: usize,
        mut visit: impl FnMut(SessionMeta),
    ) -> Result<Option<SessionKey>> {
        let op = Operation::List;
        let path = self.save_path()?;
        path.check(op)?;
        let (mut last, mut left) = (after, limit);
        for byte in after.as_ref().map_or(0, shard_of)..=u8::MAX {
            let found = path.sessions().find(byte).map_err(|errno| error::os(op, errno))?;
            let Some(shard) = found else { continue };
            let mut keys = Vec::new();
            io::names(shard.dir(), |name| {
                if let Entry::Record(key) = Entry::of(byte, name) {
                    keys.extend(Some(key).filter(|key| last.is_none_or(|last| *key > last)));
                }
            })
            .map_err(|errno| error::os(op, errno))?;
            keys.sort_unstable();
            keys.truncate(left);
            left -= keys.len();
            last = keys.last().copied().or(last);
            for key in keys {
                match self.head(op, &key, &shard, OFlags::RDONLY) {
                    Ok(Some(head)) => self.show(key, &head, &mut visit),
                    Ok(None) => {}
                    Err(err) if err.kind() == ErrorKind::Corrupt => {}
                    Err(err) => return Err(err),
                }
            }
            if left == 0 {
                return Ok(last);
            }
        }
        Ok(None)
    }

    /// Shows a record if it is listed: live, no pointer, and intact.
    fn show(&self, key: SessionKey, head: &Head, visit: &mut impl FnMut(SessionMeta)) {
        let now = self.now();
        if let Ok((header, lifetime)) = head.verify(&key)
            && lifetime.is_live(now)
            && !header.pointer
        {
            visit(header.meta(key, lifetime, now));
        }
    }
}

#[async_trait]
impl SessionLister for FileHandler {
    async fn list(&self, request: &PageRequest) -> Result<Page> {
        let after = request.after(Operation::List).map_err(|err| err.with_backend(NAME))?;
        let limit = request.limit.max(1);
        self.run(Operation::List, move |store| {
            let mut items = Vec::new();
            let last = store.walk(after, limit, |meta| items.push(meta))?;
            Ok(Page::new(items, last.as_ref().map(Cursor::after)))
        })
        .await
    }

    async fn count(&self) -> Result<u64> {
        self.run(Operation::List, |store| {
            let mut count = 0;
            store.walk(None, usize::MAX, |_| count += 1)?;
            Ok(count)
        })
        .await
    }
}
