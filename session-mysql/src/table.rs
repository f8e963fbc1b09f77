//! Names of tables: checked once, then safe in every statement.

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
