//! What the client has to be told.

use std::time::Duration;

use crate::SessionId;

/// What the client has to be told about its session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CookieAction {
    /// Nothing: what the client has is right.
    #[default]
    Keep,
    /// To present this id from now on.
    #[non_exhaustive]
    Set {
        /// The id.
        id: SessionId,
        /// How long to keep it; `None` until the browser closes.
        max_age: Option<Duration>,
    },
    /// To forget its id.
    Remove,
}
