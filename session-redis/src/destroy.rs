//! Destroying records.

use redis::Value;
use session_core::{Operation, Result, SessionKey, Version};

use crate::call::{Call, Repeat};
use crate::client::Place;
use crate::error;
use crate::index::Entry;
use crate::record;
use crate::scripts::{code, refusal};
use crate::store::{Store, failed};

impl Store {
    /// Removes a record.
    pub(crate) async fn destroy(
        &self,
        key: &SessionKey,
        only_at: Option<&Version>,
    ) -> Result<bool> {
        let call = self.client.begin(Operation::Destroy);
        let expected = only_at.map(record::expected);
        let expected = expected.as_ref().map_or(&b""[..], |version| version);
        self.remove(call, key, expected, b"").await
    }

    /// Removes a record that has this version and this owner; nothing stands for any.
    ///
    /// As long as no replica has confirmed it, the owner's entry stays: a failover may
    /// bring the record back, and whoever ends all sessions of the owner must find it.
    pub(crate) async fn remove(
        &self,
        call: Call<'_>,
        key: &SessionKey,
        version: &[u8],
        owner: &[u8],
    ) -> Result<bool> {
        let name = self.keys.session(key);
        // A version lives once, so that a removal at one is not done twice; but
        // its answer would be another.
        let repeat = if version.is_empty() { Repeat::Harmless } else { Repeat::Never };
        let answer = call
            .run(Place::Key(&name), &self.scripts.destroy, repeat, |cmd| {
                cmd.arg(1).arg(&name).arg(version).arg(owner);
                cmd.arg(if self.client.acks.is_some() { 1 } else { 0 });
            })
            .await
            .map_err(failed(call))?;
        let (removed, entry) = match answer.value {
            Value::Int(code::ABSENT) => (false, None),
            Value::Int(code::DONE) => (true, None),
            Value::Int(reply) => return Err(refusal(call.op, reply)),
            Value::Array(reply) => (true, Some(Entry::from_reply(reply).map_err(failed(call))?)),
            _ => return Err(error::unexpected().into_error(call.op)),
        };
        if let Some(failure) = answer.unconfirmed {
            return Err(failure.into_error(call.op));
        }
        if let Some(entry) = entry {
            self.leave(call, key, &entry).await;
        }
        Ok(removed)
    }
}
