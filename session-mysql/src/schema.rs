//! Opening: the tables are made where they are missing, and checked.
//!
//! A wrong column does harm in silence. With a collation that ignores case or
//! trailing blanks two keys are one; a column that is too short cuts off. So
//! `open` looks.

use session_core::{Error, ErrorKind, Operation, Result};
use sqlx::Row;
use sqlx::mysql::MySqlRow;
use sqlx::{AssertSqlSafe, SqlSafeStr};

use crate::call::Repeat;
use crate::config::Schema;
use crate::connection::Answer;
use crate::error;
use crate::param::Param;
use crate::store::Store;
use crate::table::{Table, Tables};

const OP: Operation = Operation::Open;

/// What a column must be.
struct Column {
    name: &'static str,
    /// In words, for the message.
    must_be: &'static str,
    fits: fn(&Found, &Store) -> bool,
}

const SESSIONS: &[Column] = &[
    Column {
        name: "id",
        must_be: "VARBINARY(32): bytes, which have no case and no blanks",
        fits: is_key,
    },
    Column { name: "version", must_be: "BIGINT UNSIGNED", fits: is_unsigned },
    Column { name: "created", must_be: "BIGINT", fits: is_moment },
    Column { name: "touched", must_be: "BIGINT", fits: is_moment },
    Column { name: "expires", must_be: "BIGINT", fits: is_moment },
    Column { name: "absolute", must_be: "BIGINT", fits: is_moment },
    Column {
        name: "owner",
        must_be: "VARBINARY(255) NULL",
        fits: |found, _| found.kind == "varbinary" && found.length >= 255 && found.nullable,
    },
    Column {
        name: "pointer",
        must_be: "TINYINT UNSIGNED",
        fits: |found, _| found.kind.ends_with("int"),
    },
    Column {
        name: "data",
        must_be: "MEDIUMBLOB, or larger than max_record_bytes in another way",
        fits: |found, store| {
            found.kind.ends_with("blob") && found.length >= store.config.max_record_bytes as u64
        },
    },
];

const LOCKS: &[Column] = &[
    Column { name: "id", must_be: "VARBINARY(32)", fits: is_key },
    Column { name: "token", must_be: "BIGINT UNSIGNED", fits: is_unsigned },
    Column { name: "expires", must_be: "BIGINT", fits: is_moment },
];

fn is_key(found: &Found, _: &Store) -> bool {
    match found.kind.as_str() {
        "varbinary" => found.length >= 32,
        // A longer one would be padded.
        "binary" => found.length == 32,
        _ => false,
    }
}

fn is_unsigned(found: &Found, _: &Store) -> bool {
    found.kind == "bigint" && found.is_unsigned
}

fn is_moment(found: &Found, _: &Store) -> bool {
    found.kind == "bigint" && !found.is_unsigned
}

/// A column as it is.
struct Found {
    name: String,
    /// Without length: `varchar`.
    kind: String,
    /// As it was declared, with its collation.
    declared: String,
    length: u64,
    is_unsigned: bool,
    nullable: bool,
    /// Whether a row can be inserted without a value for it.
    optional: bool,
}

impl Store {
    /// Connects, makes the tables where that is wanted, and checks them.
    pub(crate) async fn open(&self) -> Result<()> {
        self.check_connection().await?;
        let [sessions, locks] = self.tables.ddl();
        let Tables { sessions: first, locks: second } = &self.tables;
        self.make(first, sessions).await?;
        self.make(second, locks).await?;
        self.check(first, SESSIONS, &["expires", "owner"]).await?;
        self.check(second, LOCKS, &["expires"]).await
    }

    async fn check_connection(&self) -> Result<()> {
        let rows = self.ask("SELECT DATABASE(), CAST(@@autocommit AS SIGNED)", &[]).await?;
        let Some(row) = rows.first() else { return Err(wrong("the server answers nothing")) };
        if row.try_get_unchecked::<i64, _>(1).is_ok_and(|on| on == 0) {
            return Err(wrong("autocommit is off, so nothing would be stored; leave it on"));
        }
        let is_named =
            row.try_get_unchecked::<Option<String>, _>(0).is_ok_and(|name| name.is_some());
        if !is_named && self.tables.sessions.database.is_none() {
            return Err(wrong("name a database at the end of the URL, as in mysql://host/app"));
        }
        Ok(())
    }

    /// Makes a table that is missing. Two that do so at once do no harm.
    async fn make(&self, table: &Table, ddl: String) -> Result<()> {
        if self.engine(table).await?.is_some() {
            return Ok(());
        }
        let missing = |why: &str| wrong(format!("the table {} is missing{why}", table.quoted()));
        if self.config.schema == Schema::Check {
            return Err(missing("; MysqlConfig::ddl() has the statement that makes it"));
        }
        let sql = AssertSqlSafe(ddl).into_sql_str();
        let made = self.client.call::<()>(OP, Repeat::Never, &sql, &[]).await;
        match made {
            Err(err) if err.kind() == ErrorKind::PermissionDenied => Err(missing(
                " and this user may not make it; let somebody run the statement of \
                 MysqlConfig::ddl()",
            )),
            made => made.map(drop),
        }
    }

    async fn check(&self, table: &Table, columns: &[Column], keys: &[&str]) -> Result<()> {
        let name = table.quoted();
        let engine = self.engine(table).await?.unwrap_or_default();
        if !engine.eq_ignore_ascii_case("innodb") {
            return Err(wrong(format!(
                "the table {name} has the engine {engine}; it must be InnoDB, which keeps what \
                 it has acknowledged"
            )));
        }
        let found = self.columns(table).await?;
        for column in columns {
            let Some(found) = found.iter().find(|found| found.name == column.name) else {
                return Err(wrong(format!("the table {name} has no column `{}`", column.name)));
            };
            if !(column.fits)(found, self) {
                return Err(wrong(format!(
                    "the column `{}` of the table {name} is {}; it must be {}",
                    column.name, found.declared, column.must_be
                )));
            }
        }
        let is_ours = |found: &Found| columns.iter().any(|column| column.name == found.name);
        if let Some(other) = found.iter().find(|found| !is_ours(found) && !found.optional) {
            return Err(wrong(format!(
                "the table {name} has a column `{}` that needs a value; give it a default",
                other.name
            )));
        }
        let found = self.keys(table).await?;
        if !found.iter().any(|(key, columns)| key == "PRIMARY" && columns[..] == ["id"]) {
            return Err(wrong(format!("the table {name} needs PRIMARY KEY (id)")));
        }
        for wanted in keys {
            if !found.iter().any(|(_, columns)| columns.first().is_some_and(|it| it == wanted)) {
                return Err(wrong(format!(
                    "the table {name} needs a KEY that begins with {wanted}"
                )));
            }
        }
        Ok(())
    }

    /// Returns the engine of a table, or `None` if there is no such table.
    async fn engine(&self, table: &Table) -> Result<Option<String>> {
        let rows = self
            .describe("SELECT CAST(IFNULL(engine, 'none') AS CHAR)", "tables", "", table)
            .await?;
        rows.first().map(|row| text(row, 0)).transpose()
    }

    async fn columns(&self, table: &Table) -> Result<Vec<Found>> {
        let select = "SELECT CAST(LOWER(column_name) AS CHAR), CAST(LOWER(data_type) AS CHAR), \
             CAST(CONCAT_WS(' ', column_type, collation_name) AS CHAR), \
             CAST(IFNULL(character_octet_length, 0) AS UNSIGNED), \
             CAST(column_type LIKE '%unsigned%' AS SIGNED), \
             CAST(is_nullable = 'YES' AS SIGNED), \
             CAST(is_nullable = 'YES' OR column_default IS NOT NULL OR extra <> '' AS SIGNED)";
        let rows = self.describe(select, "columns", "", table).await?;
        let rows = rows.iter().map(|row| {
            Ok(Found {
                name: text(row, 0)?,
                kind: text(row, 1)?,
                declared: text(row, 2)?,
                length: row.try_get_unchecked(3).map_err(misread)?,
                is_unsigned: flag(row, 4)?,
                nullable: flag(row, 5)?,
                optional: flag(row, 6)?,
            })
        });
        rows.collect()
    }

    /// Returns the keys by name, each with its columns in their order.
    async fn keys(&self, table: &Table) -> Result<Vec<(String, Vec<String>)>> {
        let select = "SELECT CAST(index_name AS CHAR), CAST(LOWER(column_name) AS CHAR)";
        // A part of a column is not the column.
        let order = "AND sub_part IS NULL ORDER BY index_name, seq_in_index";
        let mut keys: Vec<(String, Vec<String>)> = Vec::new();
        for row in self.describe(select, "statistics", order, table).await? {
            let (key, column) = (text(&row, 0)?, text(&row, 1)?);
            match keys.last_mut() {
                Some((last, columns)) if *last == key => columns.push(column),
                _ => keys.push((key, vec![column])),
            }
        }
        Ok(keys)
    }

    /// Asks the server's own tables about one of ours.
    async fn describe(
        &self,
        select: &str,
        from: &str,
        order: &str,
        table: &Table,
    ) -> Result<Vec<MySqlRow>> {
        let sql = format!(
            "{select} FROM information_schema.{from} \
             WHERE table_schema = IFNULL(?, DATABASE()) AND table_name = ? {order}"
        );
        let database = table.database.as_ref();
        let database = database.map_or(Param::Null, |name| Param::Bytes(name.as_bytes()));
        self.ask(&sql, &[database, Param::Bytes(table.name.as_bytes())]).await
    }

    async fn ask(&self, sql: &str, params: &[Param<'_>]) -> Result<Vec<MySqlRow>> {
        let sql = AssertSqlSafe(sql).into_sql_str();
        let answer: Answer<Vec<MySqlRow>> =
            self.client.call(OP, Repeat::Harmless, &sql, params).await?;
        Ok(answer.rows)
    }
}

fn text(row: &MySqlRow, index: usize) -> Result<String> {
    row.try_get_unchecked(index).map_err(misread)
}

fn flag(row: &MySqlRow, index: usize) -> Result<bool> {
    row.try_get_unchecked::<i64, _>(index).map(|flag| flag != 0).map_err(misread)
}

fn misread(_: sqlx::Error) -> Error {
    wrong("the server describes its tables in an unknown way")
}

fn wrong(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    error::new(ErrorKind::InvalidConfig, OP, message)
}
