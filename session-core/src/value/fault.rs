//! Serde's error traits over ours.

use std::fmt::Display;

use serde::de::{Expected, Unexpected};

use crate::{Error, ErrorKind, Operation};

/// What serde reports while a value is built or taken apart.
///
/// Serde's own messages quote the data ("invalid value: string \"…\""), and the
/// messages of user types may. Session data is secret, so a fault keeps types
/// and names from the program, and drops everything else.
#[derive(Debug)]
pub(crate) struct Fault(Box<Repr>);

#[derive(Debug)]
struct Repr {
    kind: Option<ErrorKind>,
    message: String,
}

impl Fault {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Repr { kind: Some(kind), message: message.into() }))
    }

    pub(crate) fn mismatch(message: String) -> Self {
        Self(Box::new(Repr { kind: None, message }))
    }

    pub(crate) fn too_deep() -> Self {
        Self::new(
            ErrorKind::TooLarge,
            format!("lists and maps are nested deeper than {}", super::MAX_DEPTH),
        )
    }

    /// Returns the public error; `target` names the user's type.
    pub(crate) fn into_error(self, op: Operation, target: &str) -> Error {
        let Repr { kind, message } = *self.0;
        // What serde itself complains about is the data's type on the way out,
        // and something that cannot be stored on the way in.
        let otherwise = match op {
            Operation::Encode => ErrorKind::Unsupported,
            _ => ErrorKind::TypeMismatch,
        };
        let doing = if op == Operation::Encode { "storing" } else { "reading as" };
        Error::new(kind.unwrap_or(otherwise), op, format!("{message} ({doing} `{target}`)"))
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Fault {}

impl serde::ser::Error for Fault {
    fn custom<T: Display>(_: T) -> Self {
        Self::mismatch("the type's own serde code refuses this value".to_owned())
    }
}

impl serde::de::Error for Fault {
    fn custom<T: Display>(_: T) -> Self {
        Self::mismatch("the type's own serde code refuses the stored value".to_owned())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::mismatch(format!("found {}, expected {expected}", name(found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::mismatch(format!("found another {}, expected {expected}", name(found)))
    }

    fn invalid_length(len: usize, expected: &dyn Expected) -> Self {
        Self::mismatch(format!("found length {len}, expected {expected}"))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::mismatch(format!("the field `{field}` is missing; consider `#[serde(default)]`"))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::mismatch(format!("the field `{field}` is there twice"))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::mismatch(format!("found an unknown variant, expected one of {expected:?}"))
    }

    fn unknown_field(_: &str, expected: &'static [&'static str]) -> Self {
        Self::mismatch(format!("found an unknown field, expected one of {expected:?}"))
    }
}

/// Names the type of what was found, and leaves its content out.
fn name(found: Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "integer",
        Unexpected::Float(_) => "float",
        Unexpected::Char(_) | Unexpected::Str(_) => "string",
        Unexpected::Bytes(_) => "bytes",
        Unexpected::Unit | Unexpected::Option => "null",
        Unexpected::Seq => "list",
        Unexpected::NewtypeStruct
        | Unexpected::Map
        | Unexpected::Enum
        | Unexpected::UnitVariant
        | Unexpected::NewtypeVariant
        | Unexpected::TupleVariant
        | Unexpected::StructVariant => "map",
        Unexpected::Other(_) => "something else",
    }
}
