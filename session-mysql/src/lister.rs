//! Listing all sessions, in the order of their keys.

use async_trait::async_trait;
use session_core::{Cursor, Operation, Page, PageRequest, Result, SessionLister};
use sqlx::SqlStr;
use sqlx::mysql::MySqlRow;

use crate::call::Repeat;
use crate::connection::Answer;
use crate::error::NAME;
use crate::handler::MysqlHandler;
use crate::param::Param;
use crate::record;
use crate::store::Store;

impl Store {
    /// Reads one page. `first` and `after` are the statements for the first page
    /// and for those that follow; `params` is what both begin with.
    pub(crate) async fn page(
        &self,
        op: Operation,
        request: &PageRequest,
        [first, after]: [&SqlStr; 2],
        params: &[Param<'_>],
    ) -> Result<Page> {
        let place = request.after(op).map_err(|err| err.with_backend(NAME))?;
        let limit = request.limit.clamp(1, MAX_PAGE);
        let mut params = params.to_vec();
        params.extend(place.as_ref().map(Param::from));
        params.push(Param::Uint(limit as u64));
        let sql = if place.is_some() { after } else { first };
        let answer: Answer<Vec<MySqlRow>> =
            self.client.call(op, Repeat::Harmless, sql, &params).await?;
        let next = answer.rows.last().filter(|_| answer.rows.len() == limit);
        let next =
            next.map(|row| record::key(op, row)).transpose()?.map(|last| Cursor::after(&last));
        let items = answer.rows.iter().map(|row| record::meta(op, row)).collect::<Result<_>>()?;
        Ok(Page::new(items, next))
    }
}

/// Entries on a page, whatever is asked for: about 4 MB.
const MAX_PAGE: usize = 10_000;

#[async_trait]
impl SessionLister for MysqlHandler {
    async fn list(&self, request: &PageRequest) -> Result<Page> {
        let sql = &self.store.sql;
        self.store.page(Operation::List, request, [&sql.list, &sql.list_after], &[]).await
    }

    async fn count(&self) -> Result<u64> {
        let op = Operation::List;
        let answer: Answer<Option<MySqlRow>> =
            self.store.client.call(op, Repeat::Harmless, &self.store.sql.count, &[]).await?;
        let count: i64 = match answer.rows {
            Some(row) => record::column(op, &row, 0)?,
            None => 0,
        };
        Ok(count.unsigned_abs())
    }
}
