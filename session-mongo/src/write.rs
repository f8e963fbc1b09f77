//! Writing and touching records.

use std::time::Duration;

use bytes::Bytes;
use session_core::{
    Error, ErrorKind, Operation, Result, SessionKey, Version, WriteMode, WriteOptions,
};

use crate::call::Repeat;
use crate::client::Collections;
use crate::error::{self, NAME};
use crate::record::{by_key, millis};
use crate::store::{Store, draw_version};
use crate::update;

impl Store {
    /// Writes a record as the options say.
    pub(crate) async fn write(
        &self,
        key: &SessionKey,
        payload: &Bytes,
        options: &WriteOptions,
    ) -> Result<Version> {
        let op = options.mode.operation();
        let create = options.mode == WriteMode::Create;
        let version = draw_version()?;
        let repeat =
            if options.mode == WriteMode::Replace { Repeat::Never } else { Repeat::AtVersion };
        self.call_again(op, repeat, |to, in_doubt| async move {
            if let Some(fence) = options.fence {
                Box::pin(self.check_fence(op, to, key, fence)).await?;
            }
            if create && self.insert(to, key, payload, options, version).await? {
                return Ok(Version::counter(version.cast_unsigned()));
            }
            let update = update::put(options, version, payload);
            let result = to.sessions.update_one(by_key(key), update).upsert(create).await;
            let done = match &result {
                Ok(done) => done.modified_count == 1 || done.upserted_id.is_some(),
                // It was created at the same moment: by us, if an earlier attempt came late.
                Err(err) if create && error::is_duplicate(err) && in_doubt => {
                    return Err(error::in_doubt(op));
                }
                Err(err) if create && error::is_duplicate(err) => false,
                Err(err) => return Err(to.failed(op, err).await),
            };
            if !done {
                // In a box, as this is rare: each write's future would be as large.
                Box::pin(self.look(to, key, options, version, in_doubt)).await?;
            }
            Ok(Version::counter(version.cast_unsigned()))
        })
        .await
    }

    /// Inserts a new record, which costs the server half as much as an upsert.
    /// `false` if the server's time is not known, or if there is a record:
    /// whether it has expired, the update decides.
    async fn insert(
        &self,
        to: &Collections,
        key: &SessionKey,
        payload: &Bytes,
        options: &WriteOptions,
        version: i64,
    ) -> Result<bool> {
        let op = Operation::Create;
        let Some(now) = self.clock.now() else { return Ok(false) };
        let record = update::new(key, options, version, payload, now);
        let record = record.ok_or_else(|| error::bad(op))?;
        match to.sessions.insert_one(record).await {
            Ok(_) => Ok(true),
            Err(err) if error::is_duplicate(&err) => Ok(false),
            Err(err) => Err(to.failed(op, &err).await),
        }
    }

    /// Finds out why a write changed nothing: an earlier attempt had made it, or
    /// it was refused.
    ///
    /// An update that finds its work done is confirmed like any other: the
    /// servers that confirm it have what it found.
    async fn look(
        &self,
        to: &Collections,
        key: &SessionKey,
        options: &WriteOptions,
        new: i64,
        in_doubt: bool,
    ) -> Result<()> {
        let op = options.mode.operation();
        let create = options.mode == WriteMode::Create;
        let state = match self.state(op, to, key).await {
            Ok(state) => state,
            Err(err) if err.kind() == ErrorKind::Corrupt && create => {
                return Err(Error::already_exists().with_backend(NAME));
            }
            // Whatever it was, this attempt wrote nothing.
            Err(err) => return Err(err.with_indeterminate(in_doubt)),
        };
        let state = state.filter(|state| state.live || create);
        if state.as_ref().is_some_and(|state| state.version == Some(new)) {
            return Ok(());
        }
        let refused = match (&options.mode, state) {
            (WriteMode::Create, _) => Error::already_exists(),
            // Ours may have been made, and others may have built upon it.
            _ if in_doubt => error::in_doubt(op),
            (_, None) => Error::gone(op),
            (_, Some(state))
                if options.fence.is_some_and(|fence| state.fence > fence.0.cast_signed()) =>
            {
                Error::lock_lost(op)
            }
            // It had expired, and has been created anew since.
            (WriteMode::Replace, _) => Error::gone(op),
            (WriteMode::IfVersion(_), _) => Error::conflict(op),
        };
        Err(refused.with_backend(NAME))
    }

    /// Extends a lifetime.
    pub(crate) async fn touch(&self, key: &SessionKey, idle: Duration) -> Result<bool> {
        let op = Operation::Touch;
        let idle = millis(idle);
        self.call(op, |to| async move {
            let result = match to.sessions.update_one(by_key(key), update::touch(idle)).await {
                Ok(result) => result,
                Err(err) => return Err(to.failed(op, &err).await),
            };
            match (result.matched_count, result.modified_count) {
                (0, _) => Ok(false),
                (_, 0) => {
                    // It has expired, is a pointer, or was touched in this very millisecond.
                    let state = Box::pin(self.state(op, to, key)).await;
                    let state = state.map_err(|err| err.with_indeterminate(false))?;
                    Ok(state.is_some_and(|state| state.live && !state.pointer))
                }
                _ => Ok(true),
            }
        })
        .await
    }
}
