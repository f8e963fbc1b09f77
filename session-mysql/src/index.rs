//! Which sessions belong to whom: the column `owner`, which follows every write
//! by itself.

use async_trait::async_trait;
use session_core::{Operation, Owner, Page, PageRequest, Result, SessionIndex, SessionKey};
use sqlx::mysql::MySqlRow;

use crate::call::Repeat;
use crate::connection::Answer;
use crate::handler::MysqlHandler;
use crate::param::Param;
use crate::record;
use crate::sql::{BATCH, padded};
use crate::store::Store;

const OP: Operation = Operation::Index;

impl Store {
    /// Returns the keys of the owner's live sessions at one moment, the oldest first.
    async fn owned(&self, owner: &Owner) -> Result<Vec<SessionKey>> {
        let answer: Answer<Vec<MySqlRow>> =
            self.client.call(OP, Repeat::Harmless, &self.sql.owned_by_age, &[owner.into()]).await?;
        answer.rows.iter().map(|row| record::key(OP, row)).collect()
    }

    /// Destroys those of these sessions that are still the owner's. Returns how
    /// many there were.
    async fn destroy_owned(&self, owner: &Owner, keys: &[SessionKey]) -> Result<u64> {
        let mut ended = 0;
        for batch in keys.chunks(BATCH) {
            let mut params = vec![Param::from(owner)];
            params.extend(padded(batch));
            let answer: Answer<()> =
                self.client.call(OP, Repeat::Never, &self.sql.destroy_owned, &params).await?;
            ended += answer.affected;
        }
        Ok(ended)
    }
}

#[async_trait]
impl SessionIndex for MysqlHandler {
    async fn sessions(&self, owner: &Owner, request: &PageRequest) -> Result<Page> {
        let sql = &self.store.sql;
        self.store.page(OP, request, [&sql.owned, &sql.owned_after], &[owner.into()]).await
    }

    async fn revoke(&self, owner: &Owner, except: Option<&SessionKey>) -> Result<u64> {
        let mut revoked = 0;
        loop {
            // Looks again until none is left: a session that changes its id is
            // there under the new one before the old one goes.
            let mut keys = self.store.owned(owner).await?;
            keys.retain(|key| Some(key) != except);
            if keys.is_empty() {
                return Ok(revoked);
            }
            revoked += self.store.destroy_owned(owner, &keys).await?;
        }
    }

    async fn cap(&self, owner: &Owner, max: usize, keep: &SessionKey) -> Result<u64> {
        let mut keys = self.store.owned(owner).await?;
        let surplus = keys.len().saturating_sub(max);
        keys.retain(|key| key != keep);
        keys.truncate(surplus);
        self.store.destroy_owned(owner, &keys).await
    }
}
