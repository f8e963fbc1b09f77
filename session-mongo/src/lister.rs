//! Listing all sessions in the order of their keys.

use async_trait::async_trait;
use mongodb::bson::{Document, doc};
use session_core::{Cursor, Operation, Page, PageRequest, Result, SessionLister};

use crate::error::{self, NAME};
use crate::handler::MongoHandler;
use crate::record::{self, and, live, meta_fields};
use crate::reply::all;
use crate::store::Store;

/// The longest page. Its reply has to fit into one batch.
const MAX_PAGE: u32 = 10_000;

impl Store {
    /// Returns a page of the live sessions that a filter names.
    pub(crate) async fn page(
        &self,
        op: Operation,
        filter: Document,
        request: &PageRequest,
    ) -> Result<Page> {
        let after = request.after(op).map_err(|err| err.with_backend(NAME))?;
        let limit = u32::try_from(request.limit).unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE);
        let mut filter = and(filter, doc! { "$expr": live() });
        if let Some(after) = after {
            filter.insert("_id", doc! { "$gt": record::key(&after) });
        }
        let filter = &filter;
        self.call(op, |to| async move {
            let find = to.sessions.find(filter.clone()).projection(meta_fields());
            let find = find.sort(doc! { "_id": 1 }).limit(i64::from(limit)).batch_size(limit);
            let mut last = None;
            let mut seen = 0;
            let items = all(op, find.batch().await, |fields| {
                seen += 1;
                last = Some(fields.key()?);
                fields.meta()
            })
            .await?;
            Ok(Page::new(items, last.filter(|_| seen == limit).as_ref().map(Cursor::after)))
        })
        .await
    }
}

#[async_trait]
impl SessionLister for MongoHandler {
    async fn list(&self, request: &PageRequest) -> Result<Page> {
        self.store.page(Operation::List, listed(), request).await
    }

    async fn count(&self) -> Result<u64> {
        let op = Operation::List;
        self.store
            .call(op, |to| async move {
                let filter = and(listed(), doc! { "$expr": live() });
                to.sessions.count_documents(filter).await.map_err(|err| error::driver(op, &err))
            })
            .await
    }
}

/// Returns the filter that leaves out pointers.
fn listed() -> Document {
    doc! { "ptr": { "$exists": false } }
}
