//! From the driver's errors to ours, in one place.
//!
//! No text of the server is passed on: it may repeat arguments, and so keys.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use redis::{RedisError, ServerErrorKind};
use session_core::{Error, ErrorKind, Operation};

use crate::link::Wire;

/// The engine's name.
pub(crate) const NAME: &str = "redis";

/// Makes an error of this engine.
pub(crate) fn new(kind: ErrorKind, op: Operation, message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(kind, op, message).with_backend(NAME)
}

/// Refuses a setting.
pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> Error {
    new(ErrorKind::InvalidConfig, Operation::Configure, message)
}

/// Why an attempt failed, and what may come next.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) kind: ErrorKind,
    pub(crate) message: Cow<'static, str>,
    pub(crate) next: Next,
    /// Whether an earlier attempt at the same may have been executed.
    pub(crate) in_doubt: bool,
    source: Option<Arc<io::Error>>,
}

/// What may come after a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing was done, and asking again will not help.
    GiveUp,
    /// Nothing was done; it is worth asking again in a moment.
    Again,
    /// Nothing was done; it is worth asking again on another connection.
    Reconnect,
    /// The connection was lost, and nobody knows what was done.
    Lost,
    /// The server does not know the script.
    SendScript,
    /// The server does not know an option of the command.
    Syntax,
    /// Another node of the cluster has the slot now.
    Moved(String),
    /// Another node of the cluster is about to have the slot, and has this key.
    Ask(String),
}

impl Failure {
    pub(crate) fn new(kind: ErrorKind, next: Next, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into(), next, in_doubt: false, source: None }
    }

    /// The store cannot be reached, and nothing was sent.
    pub(crate) fn unreachable(message: &'static str, source: io::Error) -> Self {
        let failure = Self::new(ErrorKind::Unavailable, Next::Again, message);
        Self { source: Some(Arc::new(source)), ..failure }
    }

    /// Takes note that an earlier attempt may have been executed, if so.
    pub(crate) fn doubted(mut self, in_doubt: bool) -> Self {
        self.in_doubt |= in_doubt;
        self
    }

    pub(crate) fn into_error(self, op: Operation) -> Error {
        let changes = !matches!(op, Operation::Read | Operation::List | Operation::Open);
        let indeterminate = changes && (self.in_doubt || self.next == Next::Lost);
        let err = new(self.kind, op, self.message).with_indeterminate(indeterminate);
        match self.source {
            Some(source) => err.with_source(source),
            None => err,
        }
    }
}

/// Translates an error from sending a command or waiting for its reply. What carries the
/// connection is said as long as the server has said nothing: it may be why.
pub(crate) fn from_driver(err: &RedisError, unheard: Option<Wire>) -> Failure {
    if let Some(code) = err.code() {
        return from_server(code, err);
    }
    match err.kind() {
        redis::ErrorKind::AuthenticationFailed => wrong_password(),
        redis::ErrorKind::RESP3NotSupported => Failure::new(
            ErrorKind::InvalidConfig,
            Next::GiveUp,
            "the server does not speak RESP3; leave out `protocol`",
        ),
        redis::ErrorKind::InvalidClientConfig => Failure::new(
            ErrorKind::InvalidConfig,
            Next::GiveUp,
            "the driver refuses the settings of the connection",
        ),
        redis::ErrorKind::Parse => Failure::new(
            ErrorKind::Unavailable,
            Next::Lost,
            match unheard {
                Some(Wire::Tcp) => {
                    "what the server sent is no Redis protocol; look at what listens there, and if \
                     it speaks TLS, begin the URI with `rediss`"
                }
                _ => "what the server sent is no Redis protocol; look at what listens there",
            },
        ),
        redis::ErrorKind::UnexpectedReturnType => unexpected(),
        _ => Failure::new(ErrorKind::Unavailable, Next::Lost, lost(unheard)),
    }
}

/// Says what it may mean that a connection was lost.
const fn lost(unheard: Option<Wire>) -> &'static str {
    match unheard {
        Some(Wire::Tcp) => {
            "the connection was lost before the server said anything; if it speaks TLS, begin the \
             URI with `rediss`"
        }
        Some(Wire::Tls) => {
            "the connection was lost before the server said anything; if it wants certificates of \
             its clients, set `tls-auth-clients no` there: none is sent"
        }
        Some(Wire::Other) | None => "the connection was lost",
    }
}

/// A connection ended before anything was sent on it.
pub(crate) fn ended(unheard: Option<Wire>) -> Failure {
    Failure::new(ErrorKind::Unavailable, Next::Again, lost(unheard))
}

/// No connection was made in time.
pub(crate) fn unreached() -> Failure {
    Failure::new(
        ErrorKind::Unavailable,
        Next::Again,
        "no connection to the server could be made in time; check host and port, the network, and TLS",
    )
}

/// Nobody answered in time.
pub(crate) fn late(unheard: Option<Wire>) -> Failure {
    let message = match unheard {
        Some(Wire::Tcp) => {
            "the server did not answer in time; see whether it is overloaded, or raise timeout; if \
             it speaks TLS, begin the URI with `rediss`"
        }
        _ => "the server did not answer in time; see whether it is overloaded, or raise timeout",
    };
    Failure::new(ErrorKind::Timeout, Next::Lost, message)
}

/// Translates an error that the server answered with.
///
/// None of these leaves a command half done: a script that fails does so before
/// its first write.
fn from_server(code: &str, err: &RedisError) -> Failure {
    let node = || err.redirect_node().map(|(node, _)| node.to_owned());
    let known = match code {
        "MOVED" => node().map(Next::Moved),
        "ASK" => node().map(Next::Ask),
        _ => None,
    };
    if let Some(next) = known {
        return Failure::new(ErrorKind::Unavailable, next, "the cluster is moving its slots");
    }
    let (kind, next, message) = match code {
        "NOSCRIPT" => (ErrorKind::Internal, Next::SendScript, "the server forgot a script"),
        "READONLY" => (
            ErrorKind::Unavailable,
            Next::Reconnect,
            "the server is a replica and refuses writes; connect to the primary, or by Sentinel",
        ),
        "LOADING" => (ErrorKind::Unavailable, Next::Again, "the server is loading its data"),
        "BUSY" => (
            ErrorKind::Unavailable,
            Next::Again,
            "the server is busy with somebody's script; end it with SCRIPT KILL",
        ),
        "MASTERDOWN" => {
            (ErrorKind::Unavailable, Next::Reconnect, "the server has lost its primary")
        }
        "CLUSTERDOWN" => {
            (ErrorKind::Unavailable, Next::Again, "the cluster has no server for this session")
        }
        "TRYAGAIN" => (ErrorKind::Unavailable, Next::Again, "the cluster is moving its slots"),
        "NOREPLICAS" => (
            ErrorKind::Unavailable,
            Next::GiveUp,
            "the primary has too few replicas and refuses writes (min-replicas-to-write)",
        ),
        "OOM" => (
            ErrorKind::StorageFull,
            Next::GiveUp,
            "the server is at its maxmemory; raise it (destroying sessions still works)",
        ),
        "MISCONF" => (
            ErrorKind::Unavailable,
            Next::GiveUp,
            "the server cannot save its data and refuses writes; look at its log and its disk",
        ),
        "NOPERM" => (
            ErrorKind::PermissionDenied,
            Next::GiveUp,
            "the server's ACL refuses a command or a key; grant what the README lists",
        ),
        "NOAUTH" | "WRONGPASS" => return wrong_password(),
        "WRONGTYPE" => (
            ErrorKind::Corrupt,
            Next::GiveUp,
            "something under a session's key is not a session; give this program a prefix of its own",
        ),
        "CROSSSLOT" => (ErrorKind::Internal, Next::GiveUp, "a command named keys of two slots"),
        "ERR" if err.detail().is_some_and(|detail| detail.starts_with("syntax error")) => {
            (ErrorKind::Unsupported, Next::Syntax, "the server does not know an option")
        }
        "ERR" if err.detail().is_some_and(|detail| detail.starts_with("unknown command")) => (
            ErrorKind::Unsupported,
            Next::GiveUp,
            "the server does not know a command; it may be renamed, or the server too old",
        ),
        "ERR" if err.detail().is_some_and(|detail| detail.starts_with("max number of clients")) => {
            (
                ErrorKind::Unavailable,
                Next::Reconnect,
                "the server has as many clients as it takes; raise its maxclients",
            )
        }
        "ERR" if err.detail().is_some_and(|detail| detail.starts_with("DB index")) => {
            (ErrorKind::InvalidConfig, Next::GiveUp, "the server has no database of that number")
        }
        _ => (ErrorKind::Internal, Next::GiveUp, "the server refused a command"),
    };
    Failure::new(kind, next, message)
}

fn wrong_password() -> Failure {
    Failure::new(
        ErrorKind::PermissionDenied,
        Next::GiveUp,
        "the server refuses the user or the password; check both",
    )
}

/// A reply is not of the kind that the command has.
pub(crate) fn unexpected() -> Failure {
    Failure::new(
        ErrorKind::Internal,
        Next::Lost,
        "the server's answer is not one to the command; look at what listens there",
    )
}

/// Returns whether an error that the server answered a greeting with is worth
/// another attempt.
pub(crate) fn at_greeting(err: &RedisError, unheard: Option<Wire>) -> Failure {
    let mut failure = from_driver(err, unheard);
    if matches!(failure.next, Next::Lost | Next::Reconnect) {
        failure.next = Next::Again;
    }
    if err.kind() == redis::ErrorKind::Server(ServerErrorKind::ResponseError)
        && failure.next == Next::GiveUp
        && failure.kind == ErrorKind::Internal
    {
        failure.message = "the server refuses the connection; look at its log".into();
    }
    failure
}
