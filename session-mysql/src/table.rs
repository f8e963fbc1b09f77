//! The tables: their names, checked once and then safe in every statement, and
//! the statements that make them.

use session_core::Result;

use crate::error;

/// What the name of the table of locks adds to that of the sessions.
const LOCKS: &str = "_locks";
/// The longest identifier of MySQL and MariaDB, in characters.
const MAX_IDENTIFIER: usize = 64;

/// The two tables of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tables {
    pub(crate) sessions: Table,
    pub(crate) locks: Table,
}

/// A table, perhaps in a database of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) database: Option<String>,
    pub(crate) name: String,
}

impl Tables {
    /// Takes `table` or `database.table`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let (database, name) = match text.split_once('.') {
            Some((database, name)) => (Some(database), name),
            None => (None, text),
        };
        let fits = is_identifier(name, MAX_IDENTIFIER - LOCKS.len())
            && database.is_none_or(|database| is_identifier(database, MAX_IDENTIFIER));
        if !fits {
            return Err(error::invalid(
                "the table must be named by letters, digits, _ and $, 58 at the most, \
                 as in `sessions` or `database.sessions`",
            ));
        }
        let table = |name| Table { database: database.map(str::to_owned), name };
        Ok(Self { sessions: table(name.to_owned()), locks: table(format!("{name}{LOCKS}")) })
    }

    /// Returns the statements that make both tables.
    pub(crate) fn ddl(&self) -> [String; 2] {
        let sessions = format!(
            "CREATE TABLE IF NOT EXISTS {} (
  id VARBINARY(32) NOT NULL,
  version BIGINT UNSIGNED NOT NULL,
  created BIGINT NOT NULL,
  touched BIGINT NOT NULL,
  expires BIGINT NOT NULL,
  absolute BIGINT NOT NULL,
  owner VARBINARY(255) NULL,
  pointer TINYINT UNSIGNED NOT NULL,
  data MEDIUMBLOB NOT NULL,
  PRIMARY KEY (id),
  KEY expires (expires, pointer),
  KEY owner (owner)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC",
            self.sessions.quoted()
        );
        let locks = format!(
            "CREATE TABLE IF NOT EXISTS {} (
  id VARBINARY(32) NOT NULL,
  token BIGINT UNSIGNED NOT NULL,
  expires BIGINT NOT NULL,
  PRIMARY KEY (id),
  KEY expires (expires)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC",
            self.locks.quoted()
        );
        [sessions, locks]
    }
}

impl Table {
    /// Returns the name as it stands in a statement.
    pub(crate) fn quoted(&self) -> String {
        match &self.database {
            Some(database) => format!("`{database}`.`{}`", self.name),
            None => format!("`{}`", self.name),
        }
    }
}

fn is_identifier(text: &str, longest: usize) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$';
    (1..=longest).contains(&text.len()) && text.bytes().all(legal)
}

#[cfg(test)]
mod tests {
    use session_core::ErrorKind;

    use super::*;

    #[test]
    fn plain_names_are_quoted() {
        let quoted = |text| {
            let tables = Tables::parse(text).unwrap();
            (tables.sessions.quoted(), tables.locks.quoted())
        };
        assert_eq!(quoted("sessions"), ("`sessions`".into(), "`sessions_locks`".into()));
        assert_eq!(quoted("app.a$1"), ("`app`.`a$1`".into(), "`app`.`a$1_locks`".into()));
        assert!(Tables::parse(&"t".repeat(58)).is_ok());
    }

    #[test]
    fn the_readme_shows_the_tables_as_they_are_made() {
        let readme = include_str!("../README.md");
        for statement in Tables::parse("sessions").unwrap().ddl() {
            assert!(readme.contains(&statement), "{statement}");
        }
    }

    #[test]
    fn hostile_names_are_refused_and_not_repeated() {
        let long = "t".repeat(59);
        let wide = format!("{}.t", "d".repeat(65));
        for bad in [
            "",
            ".",
            "a.",
            ".a",
            "a.b.c",
            "a`b",
            "a b",
            "a;drop table b",
            "a--",
            "a'b",
            "a\"b",
            "a\0b",
            "sitzungen_ä",
            "a/b",
            "a\\b",
            "`a`",
            "a%b",
            "a\nb",
            &long,
            &wide,
        ] {
            let err = Tables::parse(bad).unwrap_err();
            assert_eq!(err.kind(), ErrorKind::InvalidConfig, "{bad}");
            assert!(bad.len() < 5 || !err.to_string().contains(bad), "{err}");
        }
    }
}
