//! Writing and touching: single statements, and what their count of rows means.

use std::time::Duration;

use session_core::{
    Error, FencingToken, Operation, Result, SessionKey, Version, WriteMode, WriteOptions,
};
use sqlx::mysql::MySqlRow;

use crate::call::Repeat;
use crate::connection::Answer;
use crate::error::{self, NAME};
use crate::param::Param;
use crate::record::{self, millis};
use crate::sql::Fenced;
use crate::store::{Store, draw_version};

impl Store {
    /// Writes a record as the options say.
    pub(crate) async fn write(
        &self,
        key: &SessionKey,
        payload: &[u8],
        options: &WriteOptions,
    ) -> Result<Version> {
        let new = draw_version()?;
        let record = record::params(new, payload, options);
        match &options.mode {
            WriteMode::Create => self.create(key, &record, options.fence).await?,
            WriteMode::Replace => self.replace(key, &record, options.fence).await?,
            WriteMode::IfVersion(wanted) => {
                self.replace_at(key, wanted, new, &record, options.fence).await?;
            }
        }
        Ok(Version::counter(new))
    }

    async fn create(
        &self,
        key: &SessionKey,
        record: &[Param<'_>; 7],
        fence: Option<FencingToken>,
    ) -> Result<()> {
        let op = Operation::Create;
        let [version, age, idle, absolute, owner, pointer, data] = *record;
        let insert = [key.into(), version, age, idle, absolute, owner, pointer, data];
        // Twice, for a row that is found expired, and collected before it is overwritten.
        for _ in 0..2 {
            match self.insert(key, &insert, fence).await? {
                Inserted::Yes => return Ok(()),
                Inserted::Refused => return Err(Error::lock_lost(op).with_backend(NAME)),
                Inserted::Taken => {}
            }
            let over = [version, age, idle, absolute, owner, pointer, data, key.into()];
            let sql = &self.sql.over_expired;
            if self.change(op, Repeat::Never, sql, &over, key, fence).await?.affected > 0 {
                return Ok(());
            }
        }
        Err(Error::already_exists().with_backend(NAME))
    }

    async fn insert(
        &self,
        key: &SessionKey,
        params: &[Param<'_>; 8],
        fence: Option<FencingToken>,
    ) -> Result<Inserted> {
        let op = Operation::Create;
        let result = match fence {
            None => self.client.try_call::<()>(Repeat::Never, &self.sql.insert.free, params).await,
            Some(fence) => {
                let params = with_fence(params, key, fence);
                self.client.try_call(Repeat::Never, &self.sql.insert.fenced, &params).await
            }
        };
        match result {
            Ok(answer) if answer.affected == 0 => Ok(Inserted::Refused),
            Ok(_) => Ok(Inserted::Yes),
            Err((failure, _)) if failure.is_duplicate() => Ok(Inserted::Taken),
            Err((failure, in_doubt)) => Err(failure.into_error(op, in_doubt)),
        }
    }

    async fn replace(
        &self,
        key: &SessionKey,
        record: &[Param<'_>; 7],
        fence: Option<FencingToken>,
    ) -> Result<()> {
        let op = Operation::Write;
        let [version, age, idle, absolute, owner, pointer, data] = *record;
        let params = [version, age, idle, absolute, owner, pointer, data, key.into()];
        if self.change(op, Repeat::Never, &self.sql.replace, &params, key, fence).await?.affected
            > 0
        {
            return Ok(());
        }
        self.check_fence(op, key, fence).await?;
        Err(Error::gone(op).with_backend(NAME))
    }

    async fn replace_at(
        &self,
        key: &SessionKey,
        wanted: &Version,
        new: u64,
        record: &[Param<'_>; 7],
        fence: Option<FencingToken>,
    ) -> Result<()> {
        let op = Operation::Write;
        let answer = if let Some(wanted) = wanted.as_counter() {
            let [version, age, idle, absolute, owner, pointer, data] = *record;
            let wanted = Param::Uint(wanted);
            let params = [version, age, idle, absolute, owner, pointer, data, key.into(), wanted];
            self.change(op, Repeat::AtVersion, &self.sql.replace_at, &params, key, fence).await?
        } else {
            // Not a version of ours, so certainly not this one.
            Answer::default()
        };
        if answer.affected > 0 {
            return Ok(());
        }
        // An own write first: whoever has the lock now has it since.
        let found = self.version_after(op, key, answer.in_doubt).await?;
        if found == Some(new) {
            return Ok(());
        }
        if answer.in_doubt {
            return Err(error::in_doubt(op));
        }
        self.check_fence(op, key, fence).await?;
        let refused = if found.is_some() { Error::conflict(op) } else { Error::gone(op) };
        Err(refused.with_backend(NAME))
    }

    /// Executes a statement that writes a record, under a fence if there is one.
    async fn change(
        &self,
        op: Operation,
        repeat: Repeat,
        sql: &Fenced,
        params: &[Param<'_>],
        key: &SessionKey,
        fence: Option<FencingToken>,
    ) -> Result<Answer<()>> {
        match fence {
            None => self.client.call(op, repeat, &sql.free, params).await,
            Some(fence) => {
                let params = with_fence(params, key, fence);
                self.client.call(op, repeat, &sql.fenced, &params).await
            }
        }
    }

    /// Says whether it was the fence that kept a statement from writing.
    async fn check_fence(
        &self,
        op: Operation,
        key: &SessionKey,
        fence: Option<FencingToken>,
    ) -> Result<()> {
        let Some(fence) = fence else { return Ok(()) };
        let params = [key.into(), Param::Uint(fence.0)];
        let granted: Answer<Option<MySqlRow>> =
            self.client.call(op, Repeat::Harmless, &self.sql.granted, &params).await?;
        granted.rows.map(drop).ok_or_else(|| Error::lock_lost(op).with_backend(NAME))
    }

    /// Extends a lifetime. The count of rows is that of those found, so a touch
    /// that changes nothing counts too.
    pub(crate) async fn touch(&self, key: &SessionKey, idle: Duration) -> Result<bool> {
        let params = [Param::Int(millis(idle)), key.into()];
        let answer: Answer<()> =
            self.client.call(Operation::Touch, Repeat::Never, &self.sql.touch, &params).await?;
        Ok(answer.affected > 0)
    }
}

/// What became of an INSERT.
enum Inserted {
    Yes,
    /// The key is taken, perhaps by an expired record.
    Taken,
    /// The lock was lost.
    Refused,
}

fn with_fence<'a>(
    params: &[Param<'a>],
    key: &'a SessionKey,
    fence: FencingToken,
) -> Vec<Param<'a>> {
    let mut all = Vec::with_capacity(params.len() + 2);
    all.extend_from_slice(params);
    all.extend([key.into(), Param::Uint(fence.0)]);
    all
}
