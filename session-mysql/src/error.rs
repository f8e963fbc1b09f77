//! From the driver's errors to ours, in one place.
//!
//! What the server says about an error may hold keys ("Duplicate entry '…'"), so
//! of it only the number is kept.

use std::borrow::Cow;
use std::{fmt, io};

use session_core::{Error, ErrorKind, Operation};
use sqlx::mysql::MySqlDatabaseError;

use crate::codes;

/// The engine's name.
pub(crate) const NAME: &str = "mysql";

const NO_TLS: &str = "no TLS connection; look at the server's certificate and at `ssl-mode`, \
     `ssl-ca` (the feature `tls-rustls` must be on)";

/// Makes an error of this engine.
pub(crate) fn new(kind: ErrorKind, op: Operation, message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(kind, op, message).with_backend(NAME)
}

/// Reports an impossible setting.
pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> Error {
    new(ErrorKind::InvalidConfig, Operation::Configure, message)
}

/// What became of a statement that failed, and of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Not executed. The connection is fine.
    Refused,
    /// Not executed, because of others that used the same rows. The connection is fine.
    Contended,
    /// Not executed, and the connection is of no use, nor are those as old as it.
    Stale,
    /// Perhaps executed. The connection is of no use, nor are those as old as it.
    Lost,
}

/// A failure below the level of sessions.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) fate: Fate,
    kind: ErrorKind,
    message: Cow<'static, str>,
    number: Option<u16>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Failure {
    pub(crate) fn new(fate: Fate, kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { fate, kind, message: message.into(), number: None, source: None }
    }

    /// Understands an error of a statement that was sent.
    pub(crate) fn of(err: sqlx::Error) -> Self {
        match err {
            sqlx::Error::Database(err) => match err.try_downcast_ref::<MySqlDatabaseError>() {
                // A packet that the server did not understand was none of ours, so
                // the answers are out of step. Galera has the same number for
                // nodes that are not ready.
                Some(err)
                    if err.number() == codes::ER_UNKNOWN_COM_ERROR
                        && !err.message().contains("WSREP") =>
                {
                    Self::senseless()
                }
                Some(err) => Self::server(err.number()),
                None => Self::server(0),
            },
            sqlx::Error::Io(err) => Self {
                source: Some(Box::new(err)),
                ..Self::new(
                    Fate::Lost,
                    ErrorKind::Unavailable,
                    "the connection to the server was lost",
                )
            },
            sqlx::Error::PoolTimedOut => Self::new(
                Fate::Refused,
                ErrorKind::Timeout,
                "the pool has no free connection; give it more, or look for what holds them",
            ),
            sqlx::Error::PoolClosed => Self::closed(),
            sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::ColumnIndexOutOfBounds { .. }
            | sqlx::Error::Decode(_) => Self::misread(),
            _ => Self::senseless(),
        }
    }

    fn senseless() -> Self {
        Self::new(
            Fate::Lost,
            ErrorKind::Unavailable,
            "the server's answer makes no sense; is it MySQL or MariaDB that listens there?",
        )
    }

    /// Understands an error of an attempt to connect, when no statement was sent.
    pub(crate) fn connecting(err: sqlx::Error) -> Self {
        let message = match &err {
            // What rustls does not like comes as invalid data.
            sqlx::Error::Io(err) if err.kind() == io::ErrorKind::InvalidData => NO_TLS,
            sqlx::Error::Tls(_) => NO_TLS,
            sqlx::Error::Io(_) => "cannot connect; look at host, port and whether the server runs",
            sqlx::Error::Configuration(_) => {
                "the server asks for the password by RSA or TLS; enable the feature `tls-rustls` or \
                 `rsa`, or connect by a socket"
            }
            _ => return Self { fate: Fate::Refused, ..Self::of(err) },
        };
        let kind = match err {
            sqlx::Error::Configuration(_) => ErrorKind::InvalidConfig,
            _ => ErrorKind::Unavailable,
        };
        let source: Option<Box<dyn std::error::Error + Send + Sync>> = match err {
            sqlx::Error::Io(err) => Some(Box::new(err)),
            sqlx::Error::Tls(err) => Some(err),
            _ => None,
        };
        Self { source, ..Self::new(Fate::Refused, kind, message) }
    }

    /// A row that does not have the columns and types that it should.
    pub(crate) fn misread() -> Self {
        Self::new(
            Fate::Refused,
            ErrorKind::Corrupt,
            "a row has other types than it should; open() checks the table",
        )
    }

    /// A connection was not to be had in time.
    pub(crate) fn unreached() -> Self {
        Self::new(
            Fate::Refused,
            ErrorKind::Timeout,
            "no connection in time: all are busy, or the server does not answer",
        )
    }

    pub(crate) fn closed() -> Self {
        Self::new(Fate::Refused, ErrorKind::Unavailable, "the handler is closed")
    }

    /// Understands an error number of the server. Whatever it answers with an
    /// error, it has rolled back, but for a few.
    fn server(number: u16) -> Self {
        use ErrorKind::{InvalidConfig, PermissionDenied, StorageFull, TooLarge, Unavailable};

        use crate::codes::*;
        let (fate, kind, message) = match number {
            ER_DUP_ENTRY => (Fate::Refused, ErrorKind::AlreadyExists, "the key is taken"),
            ER_LOCK_WAIT_TIMEOUT => (
                Fate::Contended,
                Unavailable,
                "the row or table was locked by others for too long; look for long transactions, \
                 ALTER TABLE and FLUSH TABLES",
            ),
            ER_LOCK_DEADLOCK => {
                (Fate::Contended, Unavailable, "others kept changing the same rows; try again")
            }
            ER_UNKNOWN_COM_ERROR
            | ER_OPTION_PREVENTS_STATEMENT
            | ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION
            | ER_READ_ONLY_MODE
            | ER_SCHEMA_READ_ONLY => (
                Fate::Stale,
                Unavailable,
                "the server takes no writes (read only, or not ready); connect to the primary",
            ),
            ER_SERVER_SHUTDOWN | ER_NORMAL_SHUTDOWN | ER_SHUTDOWN_COMPLETE => {
                (Fate::Stale, Unavailable, "the server is shutting down; try again")
            }
            ER_QUERY_INTERRUPTED
            | ER_CONNECTION_KILLED
            | ER_STATEMENT_TIMEOUT
            | ER_QUERY_TIMEOUT
            | ER_SESSION_WAS_KILLED => (
                Fate::Stale,
                Unavailable,
                "an administrator or a limit ended the statement; try again",
            ),
            ER_UNKNOWN_STMT_HANDLER | ER_NEED_REPREPARE | ER_CLIENT_INTERACTION_TIMEOUT => {
                (Fate::Stale, Unavailable, "the server has forgotten the connection; try again")
            }
            ER_MAX_PREPARED_STMT_COUNT_REACHED => (
                Fate::Refused,
                Unavailable,
                "the server prepares no more statements; raise max_prepared_stmt_count",
            ),
            ER_CON_COUNT_ERROR | ER_TOO_MANY_USER_CONNECTIONS | ER_USER_LIMIT_REACHED => (
                Fate::Refused,
                Unavailable,
                "the server takes no more connections; raise its max_connections, or lower ours",
            ),
            ER_BAD_HOST_ERROR
            | ER_HANDSHAKE_ERROR
            | ER_HOST_IS_BLOCKED
            | ER_NET_READ_ERROR..=ER_NET_WRITE_INTERRUPTED => (
                Fate::Stale,
                Unavailable,
                "the server broke off the connection; look at its log (FLUSH HOSTS unblocks a host)",
            ),
            ER_DBACCESS_DENIED_ERROR
            | ER_ACCESS_DENIED_ERROR
            | ER_HOST_NOT_PRIVILEGED
            | ER_PASSWORD_ANONYMOUS_USER
            | ER_TABLEACCESS_DENIED_ERROR
            | ER_COLUMNACCESS_DENIED_ERROR
            | ER_SPECIFIC_ACCESS_DENIED_ERROR
            | ER_NOT_SUPPORTED_AUTH_MODE
            | ER_PROCACCESS_DENIED_ERROR
            | ER_CANNOT_USER
            | ER_CANT_CREATE_USER_WITH_GRANT
            | ER_PLUGIN_IS_NOT_LOADED
            | ER_ACCESS_DENIED_NO_PASSWORD_ERROR
            | ER_MUST_CHANGE_PASSWORD
            | ER_MUST_CHANGE_PASSWORD_LOGIN
            | ER_ACCOUNT_HAS_BEEN_LOCKED
            | ER_SECURE_TRANSPORT_REQUIRED => (
                Fate::Refused,
                PermissionDenied,
                "the server refuses this user; look at name, password, host and grants \
                 (SELECT, INSERT, UPDATE, DELETE on both tables)",
            ),
            ER_NO_DB_ERROR | ER_BAD_DB_ERROR => {
                (Fate::Refused, InvalidConfig, "no such database; name one at the end of the URL")
            }
            ER_BAD_TABLE_ERROR | ER_NO_SUCH_TABLE => (
                Fate::Refused,
                Unavailable,
                "a table is missing; MysqlConfig::ddl() has the statements that make both",
            ),
            ER_BAD_FIELD_ERROR
            | ER_WRONG_VALUE_COUNT_ON_ROW
            | ER_BAD_NULL_ERROR
            | ER_NO_DEFAULT_FOR_FIELD
            | ER_WARN_DATA_OUT_OF_RANGE
            | WARN_DATA_TRUNCATED
            | ER_TRUNCATED_WRONG_VALUE_FOR_FIELD
            | ER_DATA_TOO_LONG
            | ER_CHECK_CONSTRAINT_VIOLATED => (
                Fate::Refused,
                InvalidConfig,
                "a table has other columns than it should; open() says which",
            ),
            ER_NET_PACKET_TOO_LARGE => (
                Fate::Stale,
                TooLarge,
                "the session is larger than the server's max_allowed_packet; store less, or raise it",
            ),
            ER_DISK_FULL
            | ER_RECORD_FILE_FULL
            | ER_BINLOG_ROW_LOGGING_FAILED
            | ER_DISK_FULL_NOWAIT => (
                Fate::Refused,
                StorageFull,
                "the server has no room left; free some (destroying sessions may still work)",
            ),
            ER_OUTOFMEMORY | ER_OUT_OF_SORTMEMORY | ER_OUT_OF_RESOURCES | ER_CANT_CREATE_THREAD => {
                (Fate::Refused, Unavailable, "the server is out of memory or threads")
            }
            ER_BINLOG_STMT_MODE_AND_ROW_ENGINE => (
                Fate::Refused,
                InvalidConfig,
                "READ COMMITTED needs the server's binlog_format to be ROW or MIXED",
            ),
            ER_ERROR_DURING_COMMIT => (
                Fate::Lost,
                Unavailable,
                "the server failed while it committed; read the session again and look",
            ),
            // The numbers of clients. A proxy that lost its server passes them on.
            2000..=2999 => (Fate::Lost, Unavailable, "a proxy lost its connection to the server"),
            // Proxies have numbers of their own.
            9000.. => (Fate::Stale, Unavailable, "a proxy before the server refuses the statement"),
            _ => (
                Fate::Refused,
                Unavailable,
                "the server refuses the statement; its manual explains the number",
            ),
        };
        Self {
            number: Some(number),
            source: Some(Box::new(ServerError(number))),
            ..Self::new(fate, kind, message)
        }
    }

    pub(crate) fn is_duplicate(&self) -> bool {
        self.number == Some(codes::ER_DUP_ENTRY)
    }

    /// Whether the server cannot prepare statements, so that text must do.
    pub(crate) fn wants_text(&self) -> bool {
        self.number == Some(codes::ER_MAX_PREPARED_STMT_COUNT_REACHED)
    }

    /// Whether the connection can be used again.
    pub(crate) fn spares_connection(&self) -> bool {
        matches!(self.fate, Fate::Refused | Fate::Contended)
    }

    /// Turns into an error of a call. `in_doubt` says that it may have happened.
    pub(crate) fn into_error(self, op: Operation, in_doubt: bool) -> Error {
        let err = new(self.kind, op, self.message).with_indeterminate(in_doubt);
        match self.source {
            Some(source) => err.with_source(source),
            None => err,
        }
    }
}

/// An error of the server, by its number.
#[derive(Debug)]
struct ServerError(u16);

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error {} of the server", self.0)
    }
}

impl std::error::Error for ServerError {}

/// The connection was lost after a conditional statement was sent, and what is
/// stored now does not tell whether it happened.
pub(crate) fn in_doubt(op: Operation) -> Error {
    let message = "the connection was lost while the session changed; read it again and look";
    new(ErrorKind::Unavailable, op, message).with_indeterminate(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_say_nothing_of_the_statement_leave_it_in_doubt() {
        for number in [1180, 2003, 2006, 2013, 2055] {
            let failure = Failure::server(number);
            assert_eq!(
                (failure.fate, failure.kind),
                (Fate::Lost, ErrorKind::Unavailable),
                "{number}"
            );
            assert!(!failure.spares_connection());
        }
        for number in [1064, 1999, 3000] {
            assert_eq!(Failure::server(number).fate, Fate::Refused, "{number}");
        }
    }
}
