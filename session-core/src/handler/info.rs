//! What a handler says about itself.

/// What is fixed about a handler.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HandlerInfo {
    /// The engine's name, for errors and metrics: `"file"`, `"redis"`.
    pub name: &'static str,
    /// Whether the store removes expired records by itself, so that
    /// [`gc`](crate::SessionHandler::gc) has nothing to do.
    pub expires_natively: bool,
    /// The largest payload in bytes that the store takes, if it has a limit of its own.
    pub max_payload: Option<usize>,
}

impl HandlerInfo {
    /// Describes a handler that needs garbage collection and has no limit of its own.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, expires_natively: false, max_payload: None }
    }
}
