//! Which sessions belong to whom: empty files that name an owner and a key.
//!
//! A marker is made before the record that it points to and removed after it,
//! both under the lock of the record's shard. So an owner's session is never
//! without a marker; a marker may be without a session, and is then removed by
//! whoever notices. Whose a session is, the record says.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use rustix::fs::OFlags;
use rustix::io::Errno;
use session_core::{
    Cursor, ErrorKind, Operation, Owner, Page, PageRequest, Result, SessionIndex, SessionKey,
    SessionMeta, Timestamp,
};

use crate::error::NAME;
use crate::handler::FileHandler;
use crate::layout::{self, OwnerHash};
use crate::shard::Shard;
use crate::store::Store;
use crate::{error, io};

/// What a marker turned out to point to.
enum Marked {
    /// A live session of the owner.
    Live { created: Timestamp, meta: SessionMeta },
    /// The owner's, but over.
    Expired,
    /// No record, or one that is not the owner's.
    Stale,
    /// A record that does not verify. It lets nobody in as long as it does not, and
    /// is left alone until somebody ends the owner's sessions.
    Unreadable,
}

impl Store {
    /// Makes a marker. The caller holds the lock of the record's shard; the lock
    /// of the markers is always taken last.
    pub(crate) fn mark(&self, op: Operation, owner: OwnerHash, key: &SessionKey) -> Result<()> {
        let path = self.save_path()?;
        let durable = self.is_durable();
        let mark = || {
            let shard = path.make_owners(durable)?.make(owner.shard(), durable)?;
            let lock = shard.lock()?;
            let name = owner.marker(key);
            io::open_own(shard.dir(), name.as_c_str(), OFlags::CREATE, path.uid())?;
            drop(lock);
            if durable { shard.flush() } else { Ok(()) }
        };
        let marked = mark().or_else(|errno| {
            if errno != Errno::NOENT {
                return Err(errno);
            }
            // Somebody removed the directories: look for new ones, once.
            path.forget_owners();
            mark()
        });
        marked.map_err(|errno| error::os(op, errno))
    }

    /// Removes a marker. Failing does no harm: the marker is then stale. The
    /// caller holds the lock of the record's shard.
    pub(crate) fn unmark(&self, owner: OwnerHash, key: &SessionKey) {
        let unmark = || {
            let path = self.save_path().ok()?;
            let shard = path.owners().ok()??.find(owner.shard()).ok()??;
            let _lock = shard.lock().ok()?;
            io::remove(shard.dir(), owner.marker(key).as_c_str()).ok()
        };
        let _ = unmark();
    }

    /// Returns all keys that are marked as the owner's at one moment, in order.
    fn marked(&self, owner: OwnerHash) -> Result<Vec<SessionKey>> {
        let mut keys = Vec::new();
        let mut read = || {
            let path = self.save_path()?;
            path.check(Operation::Index)?;
            let fail = |errno| error::os(Operation::Index, errno);
            let Some(owners) = path.owners().map_err(fail)? else { return Ok(()) };
            let Some(shard) = owners.find(owner.shard()).map_err(fail)? else { return Ok(()) };
            // Without the lock, a session that moves from one name to another
            // while we read could be missed under both.
            let _lock = shard.lock().map_err(fail)?;
            io::names(shard.dir(), |name| {
                keys.extend(
                    layout::read_marker(name).filter(|read| read.0 == owner).map(|read| read.1),
                );
            })
            .map_err(fail)
        };
        read()?;
        keys.sort_unstable();
        Ok(keys)
    }

    /// Looks at what a marker points to.
    fn follow(&self, owner: &Owner, key: &SessionKey, shard: &Arc<Shard>) -> Result<Marked> {
        let head = match self.head(Operation::Index, key, shard, OFlags::RDONLY) {
            Ok(Some(head)) => head,
            Ok(None) => return Ok(Marked::Stale),
            Err(err) if err.kind() == ErrorKind::Corrupt => return Ok(Marked::Unreadable),
            Err(err) => return Err(err),
        };
        let Ok((header, lifetime)) = head.verify(key) else { return Ok(Marked::Unreadable) };
        let now = self.now();
        Ok(match header.indexed() {
            Some(name) if name == owner.as_str().as_bytes() => {
                if lifetime.is_live(now) {
                    let meta = header.meta(*key, lifetime, now);
                    Marked::Live { created: header.created, meta }
                } else {
                    Marked::Expired
                }
            }
            _ => Marked::Stale,
        })
    }

    /// Looks at what a marker points to, and removes the marker if it is stale.
    fn visit(&self, owner: &Owner, key: &SessionKey) -> Result<Marked> {
        let op = Operation::Index;
        if let Some(shard) = self.shard(op, key)? {
            let marked = self.follow(owner, key, &shard)?;
            if !matches!(marked, Marked::Stale) {
                return Ok(marked);
            }
        }
        // Again under the lock: the record may be just about to be written.
        self.in_shard(op, key, |shard| {
            let _lock = shard.lock().map_err(|errno| error::os(op, errno))?;
            let marked = self.follow(owner, key, shard)?;
            if matches!(marked, Marked::Stale) {
                self.unmark(owner.into(), key);
            }
            Ok(marked)
        })
    }

    /// Destroys a session, if it is the owner's, and removes its marker. What does
    /// not verify goes too: it may be readable again tomorrow.
    fn destroy_owned(&self, owner: &Owner, key: &SessionKey) -> Result<Marked> {
        let op = Operation::Index;
        self.in_shard(op, key, |shard| {
            let lock = shard.lock().map_err(|errno| error::os(op, errno))?;
            let marked = self.follow(owner, key, shard)?;
            match marked {
                Marked::Live { .. } | Marked::Expired | Marked::Unreadable => {
                    self.remove_record(op, key, shard, Some(owner.into()))?;
                    self.release_and_flush(op, shard, lock)?;
                }
                Marked::Stale => self.unmark(owner.into(), key),
            }
            Ok(marked)
        })
    }

    fn sessions(&self, owner: &Owner, after: Option<SessionKey>, limit: usize) -> Result<Page> {
        let mut keys = self.marked(owner.into())?;
        keys.retain(|key| after.is_none_or(|after| *key > after));
        let more = keys.len() > limit;
        keys.truncate(limit);
        let next = keys.last().filter(|_| more).map(Cursor::after);
        let mut items = Vec::new();
        for key in keys {
            if let Marked::Live { meta, .. } = self.visit(owner, &key)? {
                items.push(meta);
            }
        }
        Ok(Page::new(items, next))
    }

    fn revoke(&self, owner: &Owner, except: Option<&SessionKey>) -> Result<u64> {
        let mut revoked = 0;
        let mut seen = BTreeSet::new();
        let mut failed = None;
        loop {
            // Looks again until none is left: a session that changed its id was
            // marked under the new one before the old one went.
            let mut keys = self.marked(owner.into())?;
            keys.retain(|key| Some(key) != except && seen.insert(*key));
            if keys.is_empty() {
                return failed.map_or(Ok(revoked), Err);
            }
            for key in keys {
                match self.destroy_owned(owner, &key) {
                    Ok(Marked::Live { .. } | Marked::Unreadable) => revoked += 1,
                    Ok(Marked::Expired | Marked::Stale) => {}
                    Err(err) if error::is_everywhere(&err) => return Err(err),
                    // One that stays does not keep the others alive.
                    Err(err) => drop(failed.get_or_insert(err)),
                }
            }
        }
    }

    fn cap(&self, owner: &Owner, max: usize, keep: &SessionKey) -> Result<u64> {
        let mut sessions = Vec::new();
        for key in self.marked(owner.into())? {
            if let Marked::Live { created, .. } = self.visit(owner, &key)? {
                sessions.push((created, key));
            }
        }
        sessions.sort_unstable();
        let surplus = sessions.len().saturating_sub(max);
        let mut ended = 0;
        for (_, key) in sessions.iter().filter(|(_, key)| key != keep).take(surplus) {
            ended += u64::from(matches!(self.destroy_owned(owner, key)?, Marked::Live { .. }));
        }
        Ok(ended)
    }
}

#[async_trait]
impl SessionIndex for FileHandler {
    async fn sessions(&self, owner: &Owner, request: &PageRequest) -> Result<Page> {
        let after = request.after(Operation::Index).map_err(|err| err.with_backend(NAME))?;
        let limit = request.limit.max(1);
        let owner = owner.clone();
        self.run(Operation::Index, move |store| store.sessions(&owner, after, limit)).await
    }

    async fn revoke(&self, owner: &Owner, except: Option<&SessionKey>) -> Result<u64> {
        let (owner, except) = (owner.clone(), except.copied());
        self.run(Operation::Index, move |store| store.revoke(&owner, except.as_ref())).await
    }

    async fn cap(&self, owner: &Owner, max: usize, keep: &SessionKey) -> Result<u64> {
        let (owner, keep) = (owner.clone(), *keep);
        self.run(Operation::Index, move |store| store.cap(&owner, max, &keep)).await
    }
}
