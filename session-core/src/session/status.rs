//! How a session came to be in this request.

/// How a session came to be in this request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// The client sent no id, or only malformed ones.
    New,
    /// The store had it.
    Loaded,
    /// The client sent an id that no store knows or that was replaced, or ids of
    /// several sessions.
    Unknown,
    /// The client sent an id whose session is over.
    Expired,
    /// The store could not be read; see [`Outage`](crate::Outage).
    Degraded,
}

impl Status {
    /// Returns the stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Loaded => "loaded",
            Self::Unknown => "unknown",
            Self::Expired => "expired",
            Self::Degraded => "degraded",
        }
    }
}
