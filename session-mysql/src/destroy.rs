//! Removing records: a single statement, and what its count of rows means.

use session_core::{Error, Operation, Result, SessionKey, Version};

use crate::call::Repeat;
use crate::connection::Answer;
use crate::error::{self, NAME};
use crate::param::Param;
use crate::store::Store;

impl Store {
    /// Removes a session.
    pub(crate) async fn destroy(
        &self,
        key: &SessionKey,
        only_at: Option<&Version>,
    ) -> Result<bool> {
        let op = Operation::Destroy;
        let Some(wanted) = only_at else {
            let answer: Answer<()> =
                self.client.call(op, Repeat::Never, &self.sql.destroy, &[key.into()]).await?;
            return Ok(answer.affected > 0);
        };
        let answer = if let Some(wanted) = wanted.as_counter() {
            let params = [key.into(), Param::Uint(wanted)];
            self.client.call(op, Repeat::AtVersion, &self.sql.destroy_at, &params).await?
        } else {
            Answer::<()>::default()
        };
        if answer.affected > 0 {
            return Ok(true);
        }
        match self.version_after(op, key, answer.in_doubt).await? {
            Some(_) => Err(Error::conflict(op).with_backend(NAME)),
            None if answer.in_doubt => Err(error::in_doubt(op)),
            None => Ok(false),
        }
    }
}
