//! Locks: one grant per session, in a file of its own, with a lease.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rustix::fs::OFlags;
use rustix::io::{Errno, pread, pwrite, retry_on_intr};
use session_core::{FencingToken, Operation, Result, SessionKey, SessionLocker, Timestamp};

use crate::handler::FileHandler;
use crate::plain::Plain;
use crate::shard::{Shard, ShardLock};
use crate::store::{Store, trouble};
use crate::{error, io, layout};

/// The latest grant of a session's lock: 56 bytes and their CRC-32.
///
/// It stays when the lease is over, so that a slow holder goes on as long as
/// nobody else wants the lock. Never flushed: no holder outlives a power cut.
#[derive(Clone, Copy)]
pub(crate) struct Grant {
    pub(crate) token: FencingToken,
    pub(crate) until: Timestamp,
}

const MAGIC: [u8; 8] = *b"GRANT\x01\0\n";
const LEN: usize = 60;

impl Grant {
    fn encode(self, key: &SessionKey) -> [u8; LEN] {
        let mut out = [0; LEN];
        out[0..8].copy_from_slice(&MAGIC);
        out[8..40].copy_from_slice(key.as_bytes());
        out[40..48].copy_from_slice(&self.token.0.to_le_bytes());
        out[48..56].copy_from_slice(&self.until.as_millis().to_le_bytes());
        let crc = crc32fast::hash(&out[..56]);
        out[56..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads a grant. One that does not verify is none: only a power cut tears
    /// it, and its number is not given out again.
    fn decode(bytes: &[u8], key: &SessionKey) -> Option<Self> {
        let (body, crc) = bytes.split_at_checked(56)?;
        let intact = crc == crc32fast::hash(body).to_le_bytes();
        if !intact || body[..8] != MAGIC || body[8..40] != *key.as_bytes() {
            return None;
        }
        let number = |at: usize| body[at..at + 8].try_into().map(u64::from_le_bytes).ok();
        Some(Self { token: FencingToken(number(40)?), until: Timestamp::from_millis(number(48)?) })
    }
}

impl Store {
    /// Returns the latest grant of a session's lock. The caller holds the
    /// shard's lock.
    pub(crate) fn grant(
        &self,
        op: Operation,
        key: &SessionKey,
        shard: &Arc<Shard>,
    ) -> Result<Option<Grant>> {
        let uid = self.save_path()?.uid();
        let name = layout::grant(key);
        match Plain::open(shard.dir(), &name, OFlags::RDONLY, uid).map_err(trouble(op))? {
            Some(file) if file.size == LEN as u64 => {
                let bytes = file.read().map_err(|errno| error::os(op, errno))?;
                Ok(Grant::decode(&bytes, key))
            }
            _ => Ok(None),
        }
    }

    fn put_grant(&self, key: &SessionKey, shard: &Shard, grant: Grant) -> Result<()> {
        let op = Operation::Lock;
        let flags = OFlags::CREATE | OFlags::TRUNC;
        let uid = self.save_path()?.uid();
        let file = io::open_own(shard.dir(), layout::grant(key).as_c_str(), flags, uid);
        let file = file.map_err(|errno| error::os(op, errno))?;
        write_at_start(&file, &grant.encode(key)).map_err(|errno| {
            // Half a grant is none.
            let _ = remove_grant(op, key, shard);
            error::os(op, errno)
        })
    }

    fn try_lock(&self, key: &SessionKey, lease: Duration) -> Result<Option<FencingToken>> {
        let op = Operation::Lock;
        self.in_shard(op, key, |shard| {
            let lock = shard.lock().map_err(|errno| error::os(op, errno))?;
            let now = self.now();
            if self.grant(op, key, shard)?.is_some_and(|grant| grant.until > now) {
                return Ok(None);
            }
            let token = next_token(&lock, now).map_err(|errno| error::os(op, errno))?;
            self.put_grant(key, shard, Grant { token, until: now.after(lease) })?;
            Ok(Some(token))
        })
    }

    /// Does something to the grant with this token. `false` if there is none.
    fn if_granted(
        &self,
        key: &SessionKey,
        token: FencingToken,
        work: impl FnOnce(&Shard) -> Result<()>,
    ) -> Result<bool> {
        let op = Operation::Lock;
        let Some(shard) = self.shard(op, key)? else { return Ok(false) };
        let _lock = shard.lock().map_err(|errno| error::os(op, errno))?;
        if self.grant(op, key, &shard)?.is_none_or(|grant| grant.token != token) {
            return Ok(false);
        }
        work(&shard)?;
        Ok(true)
    }

    /// Removes a grant whose lease is over, or that does not verify.
    pub(crate) fn sweep_grant(&self, key: &SessionKey, shard: &Arc<Shard>) -> Result<()> {
        let op = Operation::Gc;
        let _lock = shard.lock().map_err(|errno| error::os(op, errno))?;
        let now = self.now();
        if self.grant(op, key, shard)?.is_none_or(|grant| grant.until <= now) {
            remove_grant(op, key, shard)?;
        }
        Ok(())
    }
}

fn remove_grant(op: Operation, key: &SessionKey, shard: &Shard) -> Result<()> {
    let removed = io::remove(shard.dir(), layout::grant(key).as_c_str());
    removed.map(drop).map_err(|errno| error::os(op, errno))
}

/// Draws a number that no earlier grant in the shard has. The last one is in
/// the lock file; should it be lost, the clock is ahead of it.
fn next_token(lock: &ShardLock, now: Timestamp) -> Result<FencingToken, Errno> {
    let mut bytes = [0; 12];
    let len = retry_on_intr(|| pread(lock.file(), &mut bytes[..], 0))?;
    let (number, crc) = bytes.split_at(8);
    let intact = len == bytes.len() && crc == crc32fast::hash(number).to_le_bytes();
    let last = if intact { number.try_into().map_or(0, u64::from_le_bytes) } else { 0 };
    let next = now.as_millis().max(last.saturating_add(1));
    bytes[..8].copy_from_slice(&next.to_le_bytes());
    let crc = crc32fast::hash(&bytes[..8]);
    bytes[8..].copy_from_slice(&crc.to_le_bytes());
    write_at_start(&lock.file(), &bytes)?;
    Ok(FencingToken(next))
}

fn write_at_start(file: &impl std::os::fd::AsFd, bytes: &[u8]) -> Result<(), Errno> {
    match retry_on_intr(|| pwrite(file, bytes, 0))? {
        len if len == bytes.len() => Ok(()),
        _ => Err(Errno::NOSPC),
    }
}

#[async_trait]
impl SessionLocker for FileHandler {
    async fn try_lock(&self, key: &SessionKey, lease: Duration) -> Result<Option<FencingToken>> {
        let key = *key;
        self.run(Operation::Lock, move |store| store.try_lock(&key, lease)).await
    }

    async fn renew(&self, key: &SessionKey, token: FencingToken, lease: Duration) -> Result<bool> {
        let key = *key;
        self.run(Operation::Lock, move |store| {
            store.if_granted(&key, token, |shard| {
                let until = store.now().after(lease);
                store.put_grant(&key, shard, Grant { token, until })
            })
        })
        .await
    }

    async fn unlock(&self, key: &SessionKey, token: FencingToken) -> Result<bool> {
        let key = *key;
        self.run(Operation::Lock, move |store| {
            store.if_granted(&key, token, |shard| remove_grant(Operation::Lock, &key, shard))
        })
        .await
    }
}
