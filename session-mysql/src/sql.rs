//! All statements, written once for a pair of tables.

use session_core::SessionKey;
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use crate::param::Param;
use crate::table::Tables;

/// The server's clock when the statement began: milliseconds since 1970, in
/// UTC whatever the time zone of the connection. Good to the year 9999, which
/// `UNIX_TIMESTAMP` is not.
const NOW: &str =
    "TIMESTAMPDIFF(MICROSECOND, TIMESTAMP'1970-01-01 00:00:00', UTC_TIMESTAMP(3)) DIV 1000";
/// The same when it is evaluated, that is, after the row's lock was waited for:
/// what expired meanwhile is not brought back.
const BY_THEN: &str = "(TIMESTAMPDIFF(MICROSECOND, TIMESTAMP'1970-01-01 00:00:00', \
     UTC_TIMESTAMP(3)) + TIMESTAMPDIFF(MICROSECOND, NOW(3), SYSDATE(3))) DIV 1000";
/// Microseconds since 1970, for the numbers of grants.
const MICROS: &str = "TIMESTAMPDIFF(MICROSECOND, TIMESTAMP'1970-01-01 00:00:00', UTC_TIMESTAMP(6))";
/// What never ends ends then.
const NEVER: i64 = i64::MAX;
/// How long a grant is kept when its lease is over, in milliseconds: longer than
/// any statement that may yet number another.
const GRANT_KEPT: u32 = 60_000;
/// Rows that one statement deletes by their keys.
pub(crate) const BATCH: usize = 128;

/// Returns exactly [`BATCH`] keys: these, and the last one over and over.
pub(crate) fn padded(keys: &[SessionKey]) -> impl Iterator<Item = Param<'_>> {
    let last = keys.last().into_iter().cycle();
    keys.iter().chain(last).take(BATCH).map(Param::from)
}

/// All statements of a store.
///
/// Each that changes something is a transaction of its own that locks one row of
/// one table, or rows by ascending key. Those that carry a fence lock the grant
/// first. So they cannot deadlock.
#[derive(Debug)]
pub(crate) struct Statements {
    /// `?`: key
    pub(crate) read: SqlStr,
    /// `?`: key
    pub(crate) version: SqlStr,
    /// `?`: key, token
    pub(crate) granted: SqlStr,
    /// `?`: key, record
    pub(crate) insert: Fenced,
    /// `?`: record, key
    pub(crate) over_expired: Fenced,
    /// `?`: record, key
    pub(crate) replace: Fenced,
    /// `?`: record, key, version
    pub(crate) replace_at: Fenced,
    /// `?`: idle, key
    pub(crate) touch: SqlStr,
    /// `?`: key
    pub(crate) destroy: SqlStr,
    /// `?`: key, version
    pub(crate) destroy_at: SqlStr,
    /// `?`: limit
    pub(crate) expired: SqlStr,
    /// `?`: [`BATCH`] keys
    pub(crate) sweep: SqlStr,
    /// `?`: limit
    pub(crate) expired_locks: SqlStr,
    /// `?`: [`BATCH`] keys
    pub(crate) sweep_locks: SqlStr,
    /// `?`: key, lease, lease
    pub(crate) lock: SqlStr,
    /// `?`: lease, key, token
    pub(crate) renew: SqlStr,
    /// `?`: key, token
    pub(crate) unlock: SqlStr,
    /// `?`: limit
    pub(crate) list: SqlStr,
    /// `?`: key, limit
    pub(crate) list_after: SqlStr,
    pub(crate) count: SqlStr,
    /// `?`: owner, limit
    pub(crate) owned: SqlStr,
    /// `?`: owner, key, limit
    pub(crate) owned_after: SqlStr,
    /// `?`: owner
    pub(crate) owned_by_age: SqlStr,
    /// `?`: owner, [`BATCH`] keys
    pub(crate) destroy_owned: SqlStr,
}

/// A statement that writes a record, without a fence and with one.
///
/// The record is version, age, idle, absolute, owner, pointer, data.
#[derive(Debug)]
pub(crate) struct Fenced {
    pub(crate) free: SqlStr,
    /// The same, and at the end `?`: key, token
    pub(crate) fenced: SqlStr,
}

/// What describes a session in a list.
const META: &str = "id, owner";

impl Statements {
    pub(crate) fn new(tables: &Tables) -> Self {
        let (s, l) = (tables.sessions.quoted(), tables.locks.quoted());
        let sql = |text: String| AssertSqlSafe(std::sync::Arc::<str>::from(text)).into_sql_str();
        let grant = format!("SELECT 1 FROM {l} WHERE id = ? AND token = ? LOCK IN SHARE MODE");
        let update = |condition: &str| {
            let text = format!(
                "UPDATE {s} SET version = ?, created = {NOW} - ?, touched = {NOW}, \
                 expires = {NOW} + ?, absolute = IFNULL({NOW} + CAST(? AS SIGNED), {NEVER}), owner = ?, \
                 pointer = ?, data = ? WHERE id = ? AND {condition}"
            );
            let fenced = format!("{text} AND EXISTS ({grant})");
            Fenced { free: sql(text), fenced: sql(fenced) }
        };
        let insert = format!(
            "INSERT INTO {s} \
             (id, version, created, touched, expires, absolute, owner, pointer, data)"
        );
        let times =
            format!("{NOW} - ?, {NOW}, {NOW} + ?, IFNULL({NOW} + CAST(? AS SIGNED), {NEVER})");
        let insert = Fenced {
            free: sql(format!("{insert} VALUES (?, ?, {times}, ?, ?, ?)")),
            // Without casts the server would take the bytes for text.
            fenced: sql(format!(
                "{insert} SELECT CAST(? AS BINARY), CAST(? AS UNSIGNED), {times}, \
                 CAST(? AS BINARY), CAST(? AS UNSIGNED), CAST(? AS BINARY) \
                 FROM {l} WHERE id = ? AND token = ? LOCK IN SHARE MODE"
            )),
        };
        let keys = vec!["?"; BATCH].join(", ");
        // The hint keeps the order of keys, in which nobody waits for each other.
        let delete = |table: &str, condition: &str| {
            sql(format!(
                "DELETE q FROM {table} AS q FORCE INDEX (PRIMARY) \
                 WHERE {condition} AND q.id IN ({keys})"
            ))
        };
        let live = format!("expires > {NOW} AND pointer = 0");
        // The server sends the name of a column with every reply: a short one is read sooner
        // than the text of an expression.
        let meta =
            format!("{META}, {NOW} - created AS a, {NOW} - touched AS t, expires - {NOW} AS r");
        let list = |condition: &str| {
            sql(format!(
                "SELECT {meta} FROM {s} FORCE INDEX (PRIMARY) WHERE {condition}{live} \
                 ORDER BY id LIMIT ?"
            ))
        };
        let owned = |condition: &str| {
            sql(format!(
                "SELECT {meta} FROM {s} WHERE owner = ? AND {condition}{live} ORDER BY id LIMIT ?"
            ))
        };
        Self {
            read: sql(format!(
                "SELECT version, expires - {NOW} AS r, data FROM {s} WHERE id = ? AND expires > {NOW}"
            )),
            version: sql(format!("SELECT version FROM {s} WHERE id = ? AND expires > {NOW}")),
            granted: sql(format!("SELECT 1 FROM {l} WHERE id = ? AND token = ?")),
            insert,
            over_expired: update(&format!("expires <= {NOW}")),
            replace: update(&format!("expires > {BY_THEN}")),
            replace_at: update(&format!("version = ? AND expires > {BY_THEN}")),
            touch: sql(format!(
                "UPDATE {s} SET expires = GREATEST(expires, LEAST({NOW} + ?, absolute)), \
                 touched = {NOW} WHERE id = ? AND pointer = 0 AND expires > {BY_THEN}"
            )),
            destroy: sql(format!("DELETE FROM {s} WHERE id = ? AND expires > {BY_THEN}")),
            destroy_at: sql(format!(
                "DELETE FROM {s} WHERE id = ? AND version = ? AND expires > {BY_THEN}"
            )),
            expired: sql(format!(
                "SELECT id FROM {s} WHERE expires <= {NOW} ORDER BY expires LIMIT ?"
            )),
            sweep: delete(&s, &format!("q.expires <= {NOW}")),
            expired_locks: sql(format!(
                "SELECT id FROM {l} WHERE expires <= {NOW} - {GRANT_KEPT} ORDER BY expires LIMIT ?"
            )),
            sweep_locks: delete(&l, &format!("q.expires <= {NOW} - {GRANT_KEPT}")),
            lock: sql(format!(
                "INSERT INTO {l} (id, token, expires) \
                 VALUES (?, LAST_INSERT_ID({MICROS}), {NOW} + ?) \
                 ON DUPLICATE KEY UPDATE \
                 token = IF(expires <= {NOW}, \
                 LAST_INSERT_ID(GREATEST({MICROS}, token + 1)), token + LAST_INSERT_ID(0)), \
                 expires = IF(expires <= {NOW}, {BY_THEN} + ?, expires)"
            )),
            renew: sql(format!("UPDATE {l} SET expires = {NOW} + ? WHERE id = ? AND token = ?")),
            // A number that is never given out, so that its holder holds nothing.
            unlock: sql(format!(
                "UPDATE {l} SET token = token + 1, expires = {NOW} WHERE id = ? AND token = ?"
            )),
            list: list(""),
            list_after: list("id > ? AND "),
            count: sql(format!("SELECT COUNT(*) FROM {s} WHERE {live}")),
            owned: owned(""),
            owned_after: owned("id > ? AND "),
            owned_by_age: sql(format!(
                "SELECT id FROM {s} WHERE owner = ? AND {live} ORDER BY created, id"
            )),
            destroy_owned: delete(
                &s,
                &format!("q.owner = ? AND q.pointer = 0 AND q.expires > {BY_THEN}"),
            ),
        }
    }
}
