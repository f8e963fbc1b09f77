//! From the driver's errors to ours, in one place.
//!
//! The driver's own texts are not passed on: they repeat keys (`E11000`), hosts
//! and the server's whole reply.

use std::borrow::Cow;

use mongodb::error::{
    Error as DriverError, ErrorKind as DriverKind, RETRYABLE_WRITE_ERROR, SYSTEM_OVERLOADED_ERROR,
    WriteFailure,
};
use session_core::{Error, ErrorKind, Operation};

use crate::codes::*;

/// The engine's name.
pub(crate) const NAME: &str = "mongodb";

/// Makes an error of this engine.
pub(crate) fn new(kind: ErrorKind, op: Operation, message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(kind, op, message).with_backend(NAME)
}

/// Reports an impossible setting.
pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> Error {
    new(ErrorKind::InvalidConfig, Operation::Configure, message)
}

/// Returns whether the server says that the key is taken.
pub(crate) fn is_duplicate(err: &DriverError) -> bool {
    code(err) == Some(DUPLICATE_KEY)
}

/// Returns the code that the server gave for what it refused to do.
pub(crate) fn code(err: &DriverError) -> Option<i32> {
    match &*err.kind {
        DriverKind::Command(err) => Some(err.code),
        DriverKind::Write(WriteFailure::WriteError(err)) => Some(err.code),
        _ => None,
    }
}

/// Returns whether the server refused what it might have done before, had it been
/// asked then. Too large is too large each time.
pub(crate) fn is_refusal(err: &DriverError) -> bool {
    code(err).is_some_and(|code| !is_no_primary(code) && !is_too_large(code))
}

/// Whether a server says that it is not the primary, before anything is done.
/// When the driver had asked before, it says so by a label.
const fn is_no_primary(code: i32) -> bool {
    matches!(
        code,
        LEGACY_NOT_PRIMARY
            | NOT_WRITABLE_PRIMARY
            | NOT_PRIMARY_NO_SECONDARY_OK
            | NOT_PRIMARY_OR_SECONDARY
    )
}

const fn is_too_large(code: i32) -> bool {
    matches!(code, BSON_OBJECT_TOO_LARGE | KEY_TOO_LONG | LOCATION_17419 | LOCATION_17420)
}

/// Translates an error of the driver.
pub(crate) fn driver(op: Operation, err: &DriverError) -> Error {
    let not_sent = err.contains_label(SYSTEM_OVERLOADED_ERROR);
    // The driver has sent it before, and does not tell what became of that.
    let sent_twice = err.contains_label(RETRYABLE_WRITE_ERROR) && !not_sent;
    match &*err.kind {
        DriverKind::Command(err) => refused(op, err.code, sent_twice),
        DriverKind::Write(WriteFailure::WriteError(err)) => refused(op, err.code, sent_twice),
        DriverKind::Write(WriteFailure::WriteConcernError(err)) => unconfirmed(op, err.code),
        DriverKind::ServerSelection { message, .. } => new(
            ErrorKind::Unavailable,
            op,
            if message.contains("certificate") || message.contains("tls") {
                "no server was found that TLS works with; check tlsCAFile and the server's \
                 certificate and name"
            } else if message.contains("uthentication") {
                return denied(op);
            } else {
                "no server was found in time; check the hosts, replicaSet and TLS of the URI, and \
                 that the server runs"
            },
        ),
        DriverKind::Authentication { .. } => denied(op),
        DriverKind::Io(io) => {
            let message = "the connection to the server failed";
            let sent = !not_sent && changes(op);
            new(ErrorKind::Unavailable, op, message)
                .with_indeterminate(sent)
                .with_source(io.to_string())
        }
        DriverKind::ConnectionPoolCleared { message, .. } => {
            // The other text is for connections that were in use.
            let waiting = message.starts_with("Connection pool for ");
            new(ErrorKind::Unavailable, op, "the connections to the server were lost")
                .with_indeterminate(!waiting && changes(op))
        }
        DriverKind::DnsResolve { .. } => new(
            ErrorKind::Unavailable,
            op,
            "the host of a mongodb+srv: URI was not found in the DNS",
        ),
        DriverKind::InvalidTlsConfig { .. } => new(
            ErrorKind::InvalidConfig,
            op,
            "the files of tlsCAFile or tlsCertificateKeyFile cannot be used",
        ),
        DriverKind::IncompatibleServer { .. } | DriverKind::SessionsNotSupported => new(
            ErrorKind::Unsupported,
            op,
            "the server is too old or too new for the driver; MongoDB 4.4 is the oldest",
        ),
        DriverKind::InvalidArgument { .. } => new(
            ErrorKind::InvalidConfig,
            op,
            "the driver refuses the operation; check the write concern and sizes",
        ),
        DriverKind::Shutdown => new(ErrorKind::Unavailable, op, "the handler is closed"),
        DriverKind::InvalidResponse { .. } => {
            new(ErrorKind::Unavailable, op, "the server's reply cannot be understood")
                .with_indeterminate(changes(op))
        }
        _ => new(ErrorKind::Internal, op, "the driver failed").with_indeterminate(changes(op)),
    }
}

/// Returns whether an operation may have happened when its reply is lost.
fn changes(op: Operation) -> bool {
    !matches!(op, Operation::Read | Operation::List | Operation::Open | Operation::Configure)
}

fn denied(op: Operation) -> Error {
    new(
        ErrorKind::PermissionDenied,
        op,
        "the server refuses the user; check the name, the password and authSource",
    )
}

/// Translates the code of a command or statement that the server refused.
/// `sent_twice` says that the driver had sent it before, and got no reply or a
/// refusal then.
fn refused(op: Operation, code: i32, sent_twice: bool) -> Error {
    let (kind, message) = match code {
        ATLAS_ERROR | USER_NOT_FOUND | AUTHENTICATION_FAILED => return denied(op),
        UNAUTHORIZED => (
            ErrorKind::PermissionDenied,
            "the user may not do this; give it the rights that README.md lists",
        ),
        code if is_no_primary(code) => {
            let message = "the server is not the primary; waiting for a new one";
            return new(ErrorKind::Unavailable, op, message).with_indeterminate(sent_twice);
        }
        // Interrupted, perhaps at the very end.
        SHUTDOWN_IN_PROGRESS
        | PRIMARY_STEPPED_DOWN
        | INTERRUPTED_AT_SHUTDOWN
        | INTERRUPTED_DUE_TO_REPL_STATE_CHANGE => {
            return new(
                ErrorKind::Unavailable,
                op,
                "the server shut down or stepped down meanwhile",
            )
            .with_indeterminate(changes(op));
        }
        // A router that lost the server behind it.
        HOST_UNREACHABLE | HOST_NOT_FOUND | NETWORK_TIMEOUT | SOCKET_EXCEPTION => {
            return new(ErrorKind::Unavailable, op, "the router lost its connection to the server")
                .with_indeterminate(changes(op));
        }
        FAILED_TO_SATISFY_READ_PREFERENCE | READ_CONCERN_MAJORITY_NOT_AVAILABLE_YET => {
            (ErrorKind::Unavailable, "the server cannot serve this read now")
        }
        MAX_TIME_MS_EXPIRED | EXCEEDED_TIME_LIMIT => {
            (ErrorKind::Timeout, "the server took longer than it may")
        }
        WRITE_CONFLICT => {
            (ErrorKind::Conflict, "somebody else wrote at the same moment; try again")
        }
        DUPLICATE_KEY => (ErrorKind::AlreadyExists, "the key is taken; draw another id"),
        code if is_too_large(code) => {
            (ErrorKind::TooLarge, "the session does not fit into a document; store less")
        }
        OUT_OF_DISK_SPACE => (
            ErrorKind::StorageFull,
            "the server has no room left; free disk space (destroying sessions still works)",
        ),
        ILLEGAL_OPERATION => (
            ErrorKind::InvalidConfig,
            "the server knows no retryable writes; add retryWrites=false to the URI",
        ),
        DOCUMENT_VALIDATION_FAILURE => (
            ErrorKind::InvalidConfig,
            "the collection's validation rules refuse sessions; use a collection without",
        ),
        COMMAND_NOT_FOUND | COMMAND_NOT_SUPPORTED | NOT_IMPLEMENTED | FEATURE_NOT_SUPPORTED => {
            (ErrorKind::Unsupported, "the server does not know the command; MongoDB 4.4 does")
        }
        _ => {
            let message = format!("the server refused the operation with code {code}");
            return new(ErrorKind::Internal, op, message);
        }
    };
    new(kind, op, message)
}

/// Translates an error about the write concern: the write was made, and may be
/// undone if the server fails now.
fn unconfirmed(op: Operation, code: i32) -> Error {
    let (kind, message) = match code {
        WRITE_CONCERN_TIMEOUT => {
            (ErrorKind::Timeout, "too few servers confirmed the write in time")
        }
        UNKNOWN_REPL_WRITE_CONCERN | UNSATISFIABLE_WRITE_CONCERN => (
            ErrorKind::Unavailable,
            "the set has too few servers to confirm writes; check `w` of the URI",
        ),
        _ => (ErrorKind::Unavailable, "the servers did not confirm the write"),
    };
    new(kind, op, message).with_indeterminate(true)
}

/// What there is to say when a call took too long.
pub(crate) fn late(op: Operation, limit: std::time::Duration) -> Error {
    new(ErrorKind::Timeout, op, format!("no answer within {limit:?}"))
}

/// Reports a document that is not a session.
pub(crate) fn bad(op: Operation) -> Error {
    new(ErrorKind::Corrupt, op, "the document is not a session; look for who else writes there")
}

/// Reports that what is stored does not tell whether a change was made by us.
pub(crate) fn in_doubt(op: Operation) -> Error {
    let message = "the reply was lost while the session changed; read it again and look";
    new(ErrorKind::Unavailable, op, message).with_indeterminate(true)
}
