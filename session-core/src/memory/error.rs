//! What this engine's errors have in common.

use crate::Error;

/// The engine's name.
pub(super) const NAME: &str = "memory";

/// Names the engine in an error.
pub(super) fn named(err: Error) -> Error {
    err.with_backend(NAME)
}
