//! What a session holds: one closed type between serde and the stored bytes.

mod any;
mod de;
mod fault;
mod from;
mod key;
mod ser;
#[cfg(test)]
mod tests;

use std::fmt;

#[cfg(feature = "json")]
pub(crate) use self::any::AnySeed;
#[cfg(any(feature = "bincode", feature = "postcard"))]
pub(crate) use self::any::believed;
#[cfg(any(feature = "bincode", feature = "postcard", feature = "msgpack", feature = "json"))]
pub(crate) use self::any::has_repeated_key;

/// The deepest nesting of lists and maps in a [`Value`]: 64.
///
/// A scalar has depth 0, `[[]]` has depth 2. Far above what applications store,
/// and shallow enough for every walk over a value to be a plain recursion.
pub const MAX_DEPTH: usize = 64;

/// A stored value that says what it is.
///
/// User types become a `Value` when they are set and are made from it when they
/// are read; formats only ever see this type. So a value that is read as another
/// type than it was written as is a
/// [`TypeMismatch`](crate::ErrorKind::TypeMismatch) and never a wrong value, and
/// a struct may gain `#[serde(default)]` fields while old sessions live on.
///
/// ```
/// use session_core::Value;
///
/// let value = Value::from_serialize(&[1, 2])?;
/// assert_eq!(value, Value::from(vec![1, 2]));
/// assert_eq!(value.deserialize::<(u8, f64)>()?, (1, 2.0));
/// assert!(value.deserialize::<String>().is_err());
/// # Ok::<(), session_core::Error>(())
/// ```
///
/// # Equality
///
/// `==` asks "would the same thing be stored?". Floats are compared bit by bit:
/// a `NaN` equals itself and `0.0` differs from `-0.0`. Integers are compared by
/// their number, whichever variant holds them; an integer never equals a float.
/// Maps keep their order, and maps in another order are not equal.
///
/// # Depth
///
/// Values that come from serde or from stored bytes are at most [`MAX_DEPTH`]
/// deep. Deeper ones can be built by hand; storing them is an error, and dropping
/// them takes stack as any nested type does.
///
/// # Debug
///
/// Session data is secret, so `Debug` shows the shape only: `Str(5)`, `Map(2)`.
#[derive(Clone, Default)]
pub enum Value {
    /// Nothing: JSON's `null`, serde's unit and `None`.
    #[default]
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer from [`i64::MIN`] to [`i64::MAX`].
    Int(i64),
    /// An integer above [`i64::MAX`].
    ///
    /// Make it with `Value::from`, which picks [`Int`](Self::Int) for what fits
    /// there. A smaller number in this variant is stored as an `Int`.
    Uint(u64),
    /// A float, kept bit by bit.
    Float(f64),
    /// A text.
    Str(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A sequence.
    List(Vec<Self>),
    /// A map in the order of insertion.
    ///
    /// Keys are unique: serde input and stored bytes that repeat a key are
    /// refused, and so is storing such a map built by hand.
    Map(Vec<(String, Self)>),
}

impl Value {
    /// Returns what the value is, in one word fit for an error message.
    ///
    /// One of `null`, `boolean`, `integer`, `float`, `string`, `bytes`, `list`
    /// and `map`.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Int(_) | Self::Uint(_) => "integer",
            Self::Float(_) => "float",
            Self::Str(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
            Self::Map(_) => "map",
        }
    }

    /// Returns whether this is [`Null`](Self::Null).
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Returns the boolean, or `None` for anything else.
    #[must_use]
    pub const fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(bool) = self { Some(*bool) } else { None }
    }

    /// Returns the integer, or `None` for anything else or out of range.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(int) => Some(*int),
            Self::Uint(uint) => i64::try_from(*uint).ok(),
            _ => None,
        }
    }

    /// Returns the integer, or `None` for anything else or out of range.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Int(int) => u64::try_from(*int).ok(),
            Self::Uint(uint) => Some(*uint),
            _ => None,
        }
    }

    /// Returns the float, or `None` for anything else, integers included.
    #[must_use]
    pub const fn as_f64(&self) -> Option<f64> {
        if let Self::Float(float) = self { Some(*float) } else { None }
    }

    /// Returns the text, or `None` for anything else.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Str(text) = self { Some(text) } else { None }
    }

    /// Returns the bytes, or `None` for anything else.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    /// Returns the elements, or `None` for anything but a list.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Self]> {
        if let Self::List(list) = self { Some(list) } else { None }
    }

    /// Returns the entries in order, or `None` for anything but a map.
    #[must_use]
    pub fn as_map(&self) -> Option<&[(String, Self)]> {
        if let Self::Map(map) = self { Some(map) } else { None }
    }

    /// Returns what a map holds under `key`, or `None` if there is no such key
    /// or this is not a map.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_map()?.iter().find_map(|(k, value)| (k == key).then_some(value))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Uint(a), Self::Uint(b)) => a == b,
            (Self::Int(int), Self::Uint(uint)) | (Self::Uint(uint), Self::Int(int)) => {
                u64::try_from(*int) == Ok(*uint)
            }
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits(),
            (Self::Str(a), Self::Str(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::List(a), Self::List(b)) => a == b,
            (Self::Map(a), Self::Map(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Value {}

/// Shows the type and the length, never the content.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Bool(_) => f.write_str("Bool"),
            Self::Int(_) => f.write_str("Int"),
            Self::Uint(_) => f.write_str("Uint"),
            Self::Float(_) => f.write_str("Float"),
            Self::Str(text) => write!(f, "Str({})", text.len()),
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::List(list) => write!(f, "List({})", list.len()),
            Self::Map(map) => write!(f, "Map({})", map.len()),
        }
    }
}
