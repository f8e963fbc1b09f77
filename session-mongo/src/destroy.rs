//! Removing records.

use mongodb::bson::doc;
use session_core::{Error, Operation, Result, SessionKey, Version};

use crate::call::Repeat;
use crate::error::{self, NAME};
use crate::record::{and, by_key, expired, live};
use crate::store::Store;

impl Store {
    /// Removes a record.
    ///
    /// What does not verify goes too when no version is asked for: whoever ends
    /// a session must get it ended.
    pub(crate) async fn destroy(
        &self,
        key: &SessionKey,
        only_at: Option<&Version>,
    ) -> Result<bool> {
        let op = Operation::Destroy;
        let repeat = if only_at.is_some() { Repeat::AtVersion } else { Repeat::Never };
        self.call_again(op, repeat, |to, in_doubt| async move {
            let filter = match only_at {
                None => doc! { "$expr": { "$not": [expired()] } },
                Some(version) => {
                    let version = version.as_counter().map_or(-1, u64::cast_signed);
                    doc! { "v": version, "$expr": live() }
                }
            };
            let result = match to.sessions.delete_one(and(by_key(key), filter)).await {
                Ok(result) => result,
                Err(err) => return Err(to.failed(op, &err).await),
            };
            if result.deleted_count > 0 || only_at.is_none() {
                return Ok(result.deleted_count > 0);
            }
            let state = Box::pin(self.state(op, to, key)).await;
            match state.map_err(|err| err.with_indeterminate(in_doubt))? {
                Some(state) if state.live => Err(Error::conflict(op).with_backend(NAME)),
                // It was us, or somebody else.
                _ if in_doubt => Err(error::in_doubt(op)),
                _ => Ok(false),
            }
        })
        .await
    }
}
