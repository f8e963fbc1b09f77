//! One record, and how its lifetime moves.

use std::time::Duration;

use bytes::Bytes;

use crate::{Owner, SessionKey, SessionMeta, Stored, Timestamp, Version, WriteOptions};

/// A session as it lies in memory.
#[derive(Debug)]
pub(super) struct Record {
    payload: Bytes,
    version: u64,
    created: Timestamp,
    touched: Timestamp,
    expires: Timestamp,
    absolute: Timestamp,
    owner: Option<Owner>,
    pointer: bool,
}

impl Record {
    /// Makes what a write at `now` stores.
    pub(super) fn new(
        payload: Bytes,
        version: u64,
        options: &WriteOptions,
        now: Timestamp,
    ) -> Self {
        Self {
            payload,
            version,
            created: now.before(options.age),
            touched: now,
            expires: now.after(options.lifetime()),
            absolute: options.absolute.map_or(Timestamp::MAX, |absolute| now.after(absolute)),
            owner: options.owner.clone(),
            pointer: options.pointer,
        }
    }

    /// Moves the end of the lifetime to `idle` from now: never back, and never
    /// past the absolute deadline. Returns `false` for a pointer, which stays as
    /// it is.
    pub(super) fn touch(&mut self, idle: Duration, now: Timestamp) -> bool {
        if !self.pointer {
            self.touched = now;
            self.expires = self.expires.max(now.after(idle).min(self.absolute));
        }
        !self.pointer
    }

    pub(super) fn is_live(&self, now: Timestamp) -> bool {
        self.expires > now
    }

    pub(super) fn is_at(&self, version: &Version) -> bool {
        version.as_counter() == Some(self.version)
    }

    pub(super) fn is_listed(&self, now: Timestamp) -> bool {
        self.is_live(now) && !self.pointer
    }

    pub(super) const fn created(&self) -> Timestamp {
        self.created
    }

    /// Returns the owner under whom the index lists this record.
    pub(super) fn indexed(&self) -> Option<&Owner> {
        self.owner.as_ref().filter(|_| !self.pointer)
    }

    pub(super) fn stored(&self, now: Timestamp) -> Stored {
        Stored::new(self.payload.clone(), Version::counter(self.version))
            .with_remaining(self.expires.since(now))
    }

    pub(super) fn meta(&self, key: SessionKey, now: Timestamp) -> SessionMeta {
        let age = now.since(self.created);
        SessionMeta::new(key, age, now.since(self.touched), self.expires.since(now))
            .with_owner(self.owner.clone())
    }
}
