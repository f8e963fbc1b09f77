//! One connection: how it is set up, and how a statement goes through it.

use std::future::poll_fn;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use sqlx::mysql::{MySql, MySqlConnectOptions, MySqlRow};
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};
use sqlx::{ConnectOptions, Either, Execute, Executor, MySqlConnection, Row};

use crate::param::{self, Param};

/// What a statement answers with.
#[derive(Debug, Default)]
pub(crate) struct Answer<R> {
    pub(crate) rows: R,
    /// Rows that matched, changed or not.
    pub(crate) affected: u64,
    /// What `LAST_INSERT_ID(..)` was given.
    pub(crate) last_insert_id: u64,
    /// Whether the statement may have been executed once before.
    pub(crate) in_doubt: bool,
}

/// What becomes of the rows of an answer.
pub(crate) trait Rows: Default + Send {
    fn add(&mut self, row: MySqlRow);
}

impl Rows for () {
    fn add(&mut self, _: MySqlRow) {}
}

impl Rows for Option<MySqlRow> {
    fn add(&mut self, row: MySqlRow) {
        *self = Some(row);
    }
}

impl Rows for Vec<MySqlRow> {
    fn add(&mut self, row: MySqlRow) {
        self.push(row);
    }
}

/// A connection of our own.
pub(crate) struct Connection {
    pub(crate) raw: MySqlConnection,
    pub(crate) opened: Instant,
    pub(crate) used: Instant,
    pub(crate) max_packet: usize,
}

impl Connection {
    /// Connects, and sets what our statements count on, in one round trip.
    pub(crate) async fn open(options: &MySqlConnectOptions, init: &SqlStr) -> sqlx::Result<Self> {
        let mut raw = options.connect().await?;
        let answer: Answer<Option<MySqlRow>> =
            answer(&mut raw, sqlx::raw_sql(init.clone())).await?;
        let row = answer.rows.ok_or(sqlx::Error::RowNotFound)?;
        let now = Instant::now();
        Ok(Self { raw, opened: now, used: now, max_packet: max_packet(&row)? })
    }
}

/// Reads what [`MAX_PACKET`] selects.
pub(crate) fn max_packet(row: &MySqlRow) -> sqlx::Result<usize> {
    let bytes: u64 = row.try_get_unchecked(0)?;
    Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
}

/// Asks for the longest packet that the server takes.
pub(crate) const MAX_PACKET: &str = "SELECT CAST(@@max_allowed_packet AS UNSIGNED)";

/// Returns what is sent first on every connection.
///
/// Locks of rows and of tables are waited for about half as long as we wait for
/// an answer, so that the server says what is the matter before we give up. It
/// counts in whole seconds and waits one at the least: of a deadline of a second
/// or less we are the first to give up.
pub(crate) fn init(timeout: Duration) -> SqlStr {
    let wait = (timeout / 2).as_secs().max(1);
    let sql = format!(
        "SET NAMES utf8mb4, sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', \
         time_zone = '+00:00', autocommit = 1, innodb_lock_wait_timeout = {wait}, \
         lock_wait_timeout = {wait}; \
         SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; {MAX_PACKET}"
    );
    AssertSqlSafe(sql).into_sql_str()
}

/// Executes a prepared statement. It is prepared when it is met first.
pub(crate) async fn execute<R: Rows>(
    connection: &mut MySqlConnection,
    sql: &SqlStr,
    params: &[Param<'_>],
) -> sqlx::Result<Answer<R>> {
    let query = sqlx::query_with::<MySql, _>(sql.clone(), param::bind(params)?);
    answer(connection, query).await
}

/// Executes a statement as text, for servers that prepare no more.
pub(crate) async fn execute_text<R: Rows>(
    connection: &mut MySqlConnection,
    sql: &SqlStr,
    params: &[Param<'_>],
) -> sqlx::Result<Answer<R>> {
    let text = AssertSqlSafe(param::write_out(sql.as_str(), params));
    answer(connection, sqlx::raw_sql(text)).await
}

/// Reads an answer to its end, so that nothing of it is left in the connection.
async fn answer<'q, R: Rows>(
    connection: &mut MySqlConnection,
    query: impl Execute<'q, MySql> + 'q,
) -> sqlx::Result<Answer<R>> {
    let mut stream = connection.fetch_many(query);
    let mut answer = Answer::<R>::default();
    let end = poll_fn(|cx| {
        while let std::task::Poll::Ready(item) = stream.as_mut().poll_next(cx) {
            match take(&mut answer, item) {
                ControlFlow::Continue(()) => {}
                ControlFlow::Break(end) => return std::task::Poll::Ready(end),
            }
        }
        std::task::Poll::Pending
    });
    end.await?;
    Ok(answer)
}

type Item = sqlx::Result<Either<sqlx::mysql::MySqlQueryResult, MySqlRow>>;

fn take<R: Rows>(answer: &mut Answer<R>, item: Option<Item>) -> ControlFlow<sqlx::Result<()>> {
    match item {
        None => return ControlFlow::Break(Ok(())),
        Some(Err(err)) => return ControlFlow::Break(Err(err)),
        Some(Ok(Either::Right(row))) => answer.rows.add(row),
        Some(Ok(Either::Left(done))) => {
            answer.affected += done.rows_affected();
            answer.last_insert_id = done.last_insert_id();
        }
    }
    ControlFlow::Continue(())
}
