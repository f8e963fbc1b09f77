//! Locks: the latest grant of each, in a table of their own.
//!
//! A lock needs no session, so it cannot live in the session's row. A grant
//! stays when its lease is over, so that a slow holder goes on as long as nobody
//! else wants the lock.

use std::time::Duration;

use async_trait::async_trait;
use session_core::{FencingToken, Operation, Result, SessionKey, SessionLocker};

use crate::call::Repeat;
use crate::connection::Answer;
use crate::handler::MysqlHandler;
use crate::param::Param;
use crate::record::millis;

const OP: Operation = Operation::Lock;

#[async_trait]
impl SessionLocker for MysqlHandler {
    async fn try_lock(&self, key: &SessionKey, lease: Duration) -> Result<Option<FencingToken>> {
        let lease = Param::Int(millis(lease));
        let params = [key.into(), lease, lease];
        let answer: Answer<()> =
            self.store.client.call(OP, Repeat::Never, &self.store.sql.lock, &params).await?;
        // The statement hands its number over as the last id, and 0 for none.
        Ok(Some(answer.last_insert_id).filter(|token| *token > 0).map(FencingToken))
    }

    async fn renew(&self, key: &SessionKey, token: FencingToken, lease: Duration) -> Result<bool> {
        let params = [Param::Int(millis(lease)), key.into(), Param::Uint(token.0)];
        let answer: Answer<()> =
            self.store.client.call(OP, Repeat::Never, &self.store.sql.renew, &params).await?;
        Ok(answer.affected > 0)
    }

    async fn unlock(&self, key: &SessionKey, token: FencingToken) -> Result<bool> {
        let params = [key.into(), Param::Uint(token.0)];
        let answer: Answer<()> =
            self.store.client.call(OP, Repeat::Never, &self.store.sql.unlock, &params).await?;
        Ok(answer.affected > 0)
    }
}
