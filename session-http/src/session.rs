//! The session as web frameworks see it.

use std::ops::Deref;

/// One visitor's session, loaded: all of [`session_core::Session`], as a type
/// of this crate so that frameworks can extract it.
#[derive(Clone, Debug)]
pub struct Session(pub(crate) session_core::Session);

impl Session {
    /// Returns the session without the integration.
    #[must_use]
    pub fn into_inner(self) -> session_core::Session {
        self.0
    }
}

impl Deref for Session {
    type Target = session_core::Session;

    fn deref(&self) -> &session_core::Session {
        &self.0
    }
}
