//! From values to bytes and back.

#[cfg(feature = "bincode")]
mod bincode;
#[cfg(feature = "json")]
mod json;
#[cfg(any(feature = "bincode", feature = "postcard", feature = "msgpack", feature = "json"))]
mod limits;
#[cfg(feature = "msgpack")]
mod msgpack;
#[cfg(feature = "postcard")]
mod postcard;
mod serializers;
#[cfg(test)]
mod tests;

use std::fmt;

#[cfg(feature = "bincode")]
pub use self::bincode::Bincode;
#[cfg(feature = "json")]
pub use self::json::Json;
#[cfg(feature = "msgpack")]
pub use self::msgpack::MessagePack;
#[cfg(feature = "postcard")]
pub use self::postcard::Postcard;
pub use self::serializers::Serializers;

use crate::{Result, Value};

/// The longest encoding of one value: 4 MiB.
///
/// The built-in serializers neither write nor read more. It is a fence against
/// damaged and hostile bytes; what a session may hold is far less and set by its
/// policy.
pub const MAX_ENCODED_LEN: usize = 4 << 20;

/// Turns values into bytes and back.
///
/// User types meet serde in [`Value`], so no method here is generic, and what one
/// serializer wrote means the same in another.
///
/// # For implementors
///
/// Take bytes as hostile: allocate for what is there and not for what a length
/// claims, stop at [`MAX_DEPTH`](crate::MAX_DEPTH) before the stack does, and
/// refuse a map that repeats a key. Every value that is not too large must come
/// back equal, `NaN` and `-0.0` included; refuse what the format cannot express.
pub trait Serializer: fmt::Debug + Send + Sync + 'static {
    /// Returns a stable name of at most 32 ASCII characters.
    ///
    /// It is written into every frame, so a name belongs to one format for ever.
    fn name(&self) -> &'static str;

    /// Appends the encoding of `value` to `out`, or leaves `out` as it was.
    ///
    /// # Errors
    ///
    /// [`TooLarge`](crate::ErrorKind::TooLarge) beyond
    /// [`MAX_DEPTH`](crate::MAX_DEPTH) or [`MAX_ENCODED_LEN`], and
    /// [`Unsupported`](crate::ErrorKind::Unsupported) if the format cannot express
    /// the value.
    fn encode(&self, value: &Value, out: &mut Vec<u8>) -> Result<()>;

    /// Decodes exactly one value; left-over bytes are an error.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](crate::ErrorKind::Corrupt) for anything
    /// [`encode`](Self::encode) cannot have written.
    fn decode(&self, bytes: &[u8]) -> Result<Value>;
}
