//! Removing records. Everything here blocks.

use std::sync::Arc;

use rustix::fs::OFlags;
use rustix::io::Errno;
use session_core::{Error, ErrorKind, Operation, Result, SessionKey, Version};

use crate::error::{self, NAME};
use crate::io::remove;
use crate::layout::{self, OwnerHash};
use crate::shard::Shard;
use crate::store::{Store, trouble};

/// What decides about the removal of a record.
pub(crate) struct Found {
    pub(crate) version: u64,
    pub(crate) live: bool,
    /// Under whom the index lists it.
    pub(crate) owner: Option<OwnerHash>,
}

impl Store {
    /// Removes a session.
    ///
    /// What does not verify goes too when no version is asked for: whoever ends
    /// a session must get it ended.
    pub(crate) fn destroy(&self, key: &SessionKey, only_at: Option<&Version>) -> Result<bool> {
        let op = Operation::Destroy;
        let Some(shard) = self.shard(op, key)? else { return Ok(false) };
        let lock = shard.lock().map_err(|errno| error::os(op, errno))?;
        let live = match self.inspect(op, key, &shard) {
            Ok(None) => {
                // The removal by somebody else must be as durable as ours.
                self.release_and_flush(op, &shard, lock)?;
                return Ok(false);
            }
            Ok(Some(found)) if found.live => {
                if only_at.is_some_and(|at| at.as_counter() != Some(found.version)) {
                    return Err(Error::conflict(op).with_backend(NAME));
                }
                self.remove_record(op, key, &shard, found.owner)?;
                true
            }
            Ok(Some(found)) => {
                self.remove_record(op, key, &shard, found.owner)?;
                false
            }
            Err(err) if err.kind() == ErrorKind::Corrupt && only_at.is_none() => {
                self.remove_record(op, key, &shard, None)?;
                true
            }
            Err(err) => return Err(err),
        };
        self.release_and_flush(op, &shard, lock)?;
        Ok(live)
    }

    /// Looks at a record, to decide about its removal. The caller holds the lock.
    pub(crate) fn inspect(
        &self,
        op: Operation,
        key: &SessionKey,
        shard: &Arc<Shard>,
    ) -> Result<Option<Found>> {
        let Some(head) = self.head(op, key, shard, OFlags::RDONLY)? else { return Ok(None) };
        let (header, lifetime) = head.verify(key).map_err(trouble(op))?;
        Ok(Some(Found {
            version: header.version,
            live: lifetime.is_live(self.now()),
            owner: header.indexed().map(OwnerHash::of),
        }))
    }

    /// Removes a record and its marker. The caller holds the lock.
    pub(crate) fn remove_record(
        &self,
        op: Operation,
        key: &SessionKey,
        shard: &Shard,
        owner: Option<OwnerHash>,
    ) -> Result<()> {
        remove(shard.dir(), layout::record(key).as_c_str()).map_err(|errno| match errno {
            Errno::IO => error::late(op, errno),
            errno => error::os(op, errno),
        })?;
        if let Some(owner) = owner {
            self.unmark(owner, key);
        }
        Ok(())
    }
}
