//! Locks: one grant per session, under a key in the session's slot.

use std::time::Duration;

use async_trait::async_trait;
use redis::{Cmd, Value};
use session_core::{FencingToken, Operation, Result, SessionKey, SessionLocker};

use crate::call::Repeat;
use crate::client::Place;
use crate::error;
use crate::handler::RedisHandler;
use crate::record::millis;
use crate::scripts::Script;
use crate::store::failed;

/// For how long the number of a grant is remembered after its lease, in
/// milliseconds. After that the server's clock sees to it that numbers rise.
const GRANT_KEPT: u64 = 3_600_000;

/// The longest lease in milliseconds, ten years.
const MAX_LEASE: u64 = 315_360_000_000;

impl RedisHandler {
    async fn on_lock(
        &self,
        key: &SessionKey,
        script: &Script,
        repeat: Repeat,
        fill: impl Fn(&mut Cmd),
    ) -> Result<u64> {
        let call = self.store.client.begin(Operation::Lock);
        let name = self.store.keys.lock(key);
        let answer = call.run(Place::Key(&name), script, repeat, |cmd| {
            cmd.arg(1).arg(&name);
            fill(cmd);
        });
        let answer = answer.await.map_err(failed(call))?;
        if let Some(failure) = answer.unconfirmed {
            return Err(failure.into_error(call.op));
        }
        match answer.value {
            Value::Int(reply) if reply >= 0 => Ok(reply.unsigned_abs()),
            _ => Err(error::unexpected().into_error(call.op)),
        }
    }
}

#[async_trait]
impl SessionLocker for RedisHandler {
    async fn try_lock(&self, key: &SessionKey, lease: Duration) -> Result<Option<FencingToken>> {
        let lease = millis(lease).min(MAX_LEASE);
        let script = &self.store.scripts.lock;
        let token = self.on_lock(key, script, Repeat::Never, |cmd| {
            cmd.arg(lease).arg(GRANT_KEPT);
        });
        Ok(Some(token.await?).filter(|token| *token > 0).map(FencingToken))
    }

    async fn renew(&self, key: &SessionKey, token: FencingToken, lease: Duration) -> Result<bool> {
        let lease = millis(lease).min(MAX_LEASE);
        let script = &self.store.scripts.renew;
        let held = self.on_lock(key, script, Repeat::Harmless, |cmd| {
            cmd.arg(lease).arg(GRANT_KEPT).arg(token.0);
        });
        Ok(held.await? > 0)
    }

    async fn unlock(&self, key: &SessionKey, token: FencingToken) -> Result<bool> {
        let script = &self.store.scripts.unlock;
        let held = self.on_lock(key, script, Repeat::Harmless, |cmd| {
            cmd.arg(GRANT_KEPT).arg(token.0);
        });
        Ok(held.await? > 0)
    }
}
