//! Writing and touching records.

use std::time::Duration;

use bytes::Bytes;
use redis::Value;
use session_core::{
    Error, ErrorKind, Operation, Result, SessionKey, Version, WriteMode, WriteOptions,
};

use crate::call::{Answer, Call, Repeat};
use crate::client::Place;
use crate::draft::{Draft, Written, cover};
use crate::error::{self, Failure, NAME, Next};
use crate::index::Entry;
use crate::record::{self, Header, Record, millis};
use crate::scripts::{code, refusal};
use crate::store::{Store, failed};

impl Store {
    /// Writes a record as the options say.
    ///
    /// An owner's entry comes before the record that needs it, and goes after
    /// the record is another's: a live session is never without its entry.
    pub(crate) async fn write(
        &self,
        key: &SessionKey,
        payload: &Bytes,
        options: &WriteOptions,
    ) -> Result<Version> {
        let op = options.mode.operation();
        let call = self.client.begin(op);
        let now = self.clock.now();
        let owner = match &options.owner {
            Some(owner) if !options.pointer => owner.as_str().as_bytes(),
            _ => b"",
        };
        let mut draft = Draft {
            key,
            name: self.keys.session(key),
            header: Header {
                pointer: options.pointer,
                owner_len: u8::try_from(owner.len()).unwrap_or(u8::MAX),
                version: self.draw_version(),
                fence: options.fence.map_or(0, |fence| fence.0),
                created: now.before(options.age).as_millis(),
                touched: now.as_millis(),
                lifetime: millis(options.lifetime()),
                absolute: options.absolute.map_or(0, millis),
                ..Header::default()
            },
            owner,
            payload,
            mode: &options.mode,
        };
        let plain = draft.header.fence == 0 && draft.header.lifetime > 0;
        let answer = match &options.mode {
            WriteMode::Create => {
                if !owner.is_empty() && draft.header.lifetime > 0 {
                    self.enter(call, &mut draft).await?;
                }
                if plain {
                    self.create(call, &draft).await
                } else {
                    self.by_script(call, &mut draft).await
                }
            }
            WriteMode::IfVersion(version) if plain && self.has_ifeq() => {
                match version.hint().and_then(|old| Record::decode(op, old.clone()).ok()) {
                    Some(old) => self.if_equal(call, &mut draft, old).await,
                    None => self.by_script(call, &mut draft).await,
                }
            }
            WriteMode::IfVersion(_) | WriteMode::Replace => self.by_script(call, &mut draft).await,
        }?;
        match answer.unconfirmed {
            Some(failure) => Err(failure.into_error(op)),
            None => Ok(Version::counter(draft.header.version)),
        }
    }

    /// `SET … NX PX`: only if the key is free.
    async fn create(&self, call: Call<'_>, draft: &Draft<'_>) -> Result<Answer> {
        let mut cmd = draft.set(0);
        cmd.arg("NX").arg("PX").arg(draft.header.lifetime);
        match call.tell(draft.place(), &cmd, Repeat::Never).await {
            Ok(Answer { value: Value::Okay, unconfirmed }) => Ok(done(unconfirmed)),
            Ok(Answer { value: Value::Nil, .. }) => Err(Error::already_exists().with_backend(NAME)),
            Ok(_) => Err(error::unexpected().into_error(call.op)),
            Err(failure) => Box::pin(self.find_out(call, draft, failure)).await,
        }
    }

    /// `SET … IFEQ … PX`: only if the value is what was read, byte for byte. A
    /// touch changes the value and not the version, so that only the script can
    /// say what it means if it is not.
    async fn if_equal(&self, call: Call<'_>, draft: &mut Draft<'_>, old: Record) -> Result<Answer> {
        let kept = draft.keep_entry(&old);
        if !kept && !draft.owner.is_empty() {
            self.enter(call, draft).await?;
        }
        let was = old.header.entry;
        let left_owner =
            if was != 0 && old.owner() != draft.owner { old.owner().to_vec() } else { vec![] };
        let old = old.into_bytes();
        let mut cmd = draft.set(old.len() + 32);
        cmd.arg("IFEQ").arg(&old[..]).arg("PX").arg(draft.header.lifetime);
        match call.tell(draft.place(), &cmd, Repeat::Never).await {
            Ok(Answer { value: Value::Okay, unconfirmed }) => {
                if !left_owner.is_empty() && unconfirmed.is_none() {
                    self.leave(call, draft.key, &Entry { owner: left_owner, score: was }).await;
                }
                Ok(done(unconfirmed))
            }
            Ok(Answer { value: Value::Nil, .. }) => self.by_script(call, draft).await,
            Ok(_) => Err(error::unexpected().into_error(call.op)),
            Err(Failure { next: Next::Syntax, .. }) => {
                self.without_ifeq();
                self.by_script(call, draft).await
            }
            Err(failure) => Box::pin(self.find_out(call, draft, failure)).await,
        }
    }

    /// By script, for everything else.
    async fn by_script(&self, call: Call<'_>, draft: &mut Draft<'_>) -> Result<Answer> {
        loop {
            let answer = match self.run_write(call, draft).await {
                Ok(answer) => answer,
                Err(failure) => return Box::pin(self.find_out(call, draft, failure)).await,
            };
            match answer.value {
                Value::Int(code::ENTER_FIRST) => self.enter(call, draft).await?,
                Value::Int(code::DONE) => return Ok(answer),
                Value::Int(reply) => return Err(refusal(call.op, reply)),
                Value::Array(reply) => {
                    let entry = Entry::from_reply(reply).map_err(failed(call))?;
                    if entry.owner != draft.owner && answer.unconfirmed.is_none() {
                        self.leave(call, draft.key, &entry).await;
                    }
                    return Ok(done(answer.unconfirmed));
                }
                _ => return Err(error::unexpected().into_error(call.op)),
            }
        }
    }

    async fn run_write(&self, call: Call<'_>, draft: &Draft<'_>) -> Result<Answer, Failure> {
        let head = draft.header.encode();
        let fence = draft.header.fence;
        let indexed_by =
            if draft.header.entry == 0 && draft.header.lifetime > 0 { draft.owner } else { b"" };
        let expected: &[u8] = match draft.mode {
            WriteMode::Create => b"none",
            WriteMode::Replace => b"any",
            WriteMode::IfVersion(version) => &record::expected(version),
        };
        let write = &self.scripts.write;
        call.run(draft.place(), write, Repeat::Never, |cmd| {
            if fence == 0 {
                cmd.arg(1).arg(&draft.name);
            } else {
                cmd.arg(2).arg(&draft.name).arg(self.keys.lock(draft.key));
            }
            cmd.arg(expected).arg(draft.header.lifetime);
            cmd.arg(Written(&head, draft.owner, draft.payload)).arg(indexed_by).arg(fence);
        })
        .await
    }

    /// Finds out what came of a write whose answer was lost, if that can be said
    /// for certain.
    ///
    /// The script knows this very write by its version. If the write is there, or
    /// happens now, all is well, for it happens only once. Whatever else is found
    /// may have come after it, so that nobody can say.
    async fn find_out(
        &self,
        call: Call<'_>,
        draft: &Draft<'_>,
        failure: Failure,
    ) -> Result<Answer> {
        let certain = match draft.mode {
            WriteMode::Create | WriteMode::IfVersion(_) => failure.kind == ErrorKind::Unavailable,
            WriteMode::Replace => false,
        };
        if failure.next == Next::Lost && certain {
            match self.run_write(call, draft).await {
                Ok(Answer { value: Value::Int(code::DONE), unconfirmed }) => {
                    return Ok(done(unconfirmed));
                }
                Ok(Answer { value: Value::Array(_), unconfirmed }) => return Ok(done(unconfirmed)),
                _ => {}
            }
        }
        Err(failure.into_error(call.op))
    }

    /// Puts the session into its owner's index, before it is written.
    async fn enter(&self, call: Call<'_>, draft: &mut Draft<'_>) -> Result<()> {
        let Header { lifetime, absolute, .. } = draft.header;
        let cover = cover(lifetime, absolute);
        let score = self.enter_index(call, draft.owner, draft.key, cover).await?;
        (draft.header.entry, draft.header.covered) = (score, cover);
        Ok(())
    }

    /// Extends a lifetime.
    pub(crate) async fn touch(&self, key: &SessionKey, idle: Duration) -> Result<bool> {
        let call = self.client.begin(Operation::Touch);
        let name = self.keys.session(key);
        let (idle, now) = (millis(idle), self.clock.now().as_millis());
        let mut entry: Option<(Entry, u64)> = None;
        loop {
            let (score, covered, owner) = match &entry {
                Some((entry, covered)) => {
                    (&entry.score.to_le_bytes()[..], *covered, &entry.owner[..])
                }
                None => (&b""[..], 0, &b""[..]),
            };
            let answer = call
                .run(Place::Key(&name), &self.scripts.touch, Repeat::Harmless, |cmd| {
                    cmd.arg(1).arg(&name).arg(idle).arg(now).arg(score).arg(covered).arg(owner);
                })
                .await
                .map_err(failed(call))?;
            match answer.value {
                Value::Int(reply @ (code::ABSENT | code::DONE)) => {
                    return match answer.unconfirmed {
                        Some(failure) => Err(failure.into_error(call.op)),
                        None => Ok(reply == code::DONE),
                    };
                }
                Value::Int(reply) => return Err(refusal(call.op, reply)),
                Value::Array(reply) => {
                    let Ok([Value::BulkString(owner)]) = <[Value; 1]>::try_from(reply) else {
                        return Err(error::unexpected().into_error(call.op));
                    };
                    let covered = cover(idle, 0);
                    let score = self.enter_index(call, &owner, key, covered).await?;
                    entry = Some((Entry { owner, score }, covered));
                }
                _ => return Err(error::unexpected().into_error(call.op)),
            }
        }
    }
}

const fn done(unconfirmed: Option<Failure>) -> Answer {
    Answer { value: Value::Int(code::DONE), unconfirmed }
}
