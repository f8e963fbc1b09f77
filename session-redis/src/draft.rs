//! A write on its way: what becomes the value under a session's key.

use bytes::Bytes;
use redis::{Cmd, RedisWrite, ToRedisArgs};
use session_core::{SessionKey, WriteMode};

use crate::client::Place;
use crate::keys::Name;
use crate::record::{HEAD, Header, Record};

/// A write on its way.
pub(crate) struct Draft<'a> {
    pub(crate) key: &'a SessionKey,
    pub(crate) name: Name<'a>,
    pub(crate) header: Header,
    pub(crate) owner: &'a [u8],
    pub(crate) payload: &'a Bytes,
    pub(crate) mode: &'a WriteMode,
}

/// A header, an owner and a payload as one argument.
pub(crate) struct Written<'a>(pub(crate) &'a [u8; HEAD], pub(crate) &'a [u8], pub(crate) &'a [u8]);

impl ToRedisArgs for Written<'_> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        use std::io::Write as _;
        let Self(head, owner, payload) = self;
        let mut arg = out.writer_for_next_arg();
        for part in [&head[..], owner, payload] {
            // Commands are written to memory, which takes everything.
            let _ = arg.write_all(part);
        }
    }
}

impl Draft<'_> {
    pub(crate) const fn place(&self) -> Place<'_> {
        Place::Key(&self.name)
    }

    /// Begins a `SET`, with room for what follows.
    pub(crate) fn set(&self, more: usize) -> Cmd {
        let len = self.name.len() + HEAD + self.owner.len() + self.payload.len() + 64 + more;
        let mut cmd = Cmd::with_capacity(7, len);
        let head = self.header.encode();
        cmd.arg("SET").arg(&self.name).arg(Written(&head, self.owner, self.payload));
        cmd
    }

    /// Keeps the entry of the record that is replaced, if it stays long enough.
    pub(crate) fn keep_entry(&mut self, old: &Record) -> bool {
        let Header { entry, covered, touched, .. } = old.header;
        let elapsed = self.header.touched.saturating_sub(touched);
        let covered = covered.saturating_sub(elapsed);
        let keeps = entry != 0 && old.owner() == self.owner && covered >= self.header.lifetime;
        if keeps {
            (self.header.entry, self.header.covered) = (entry, covered);
        }
        keeps
    }
}

/// Returns for how long an owner's entry shall stay: for twice the lifetime, so
/// that every second touch at most renews it, but not past the absolute deadline.
pub(crate) fn cover(lifetime: u64, absolute: u64) -> u64 {
    let twice = lifetime.saturating_mul(2);
    if absolute > 0 { twice.min(absolute.max(lifetime)) } else { twice }
}
