//! The session as web frameworks see it.

use std::ops::Deref;

/// One visitor's session, loaded: all of [`session_core::Session`], as a type
/// of this crate so that frameworks can extract it.
///
/// Made from one of a [`SessionManager`](crate::SessionManager), it lets a test call a
/// handler without a server:
///
/// ```
/// use session_http::session_core::MemoryHandler;
/// use session_http::{Session, SessionError, SessionManager};
///
/// async fn visit(session: Session) -> Result<i64, SessionError> {
///     session.increment("visits", 1)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), SessionError> {
/// let session = Session::from(SessionManager::new(MemoryHandler::new()).create());
/// assert_eq!(visit(session.clone()).await?, 1);
/// assert_eq!(visit(session).await?, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Session(pub(crate) session_core::Session);

impl Session {
    /// Returns the session without the integration.
    #[must_use]
    pub fn into_inner(self) -> session_core::Session {
        self.0
    }
}

impl From<session_core::Session> for Session {
    fn from(session: session_core::Session) -> Self {
        Self(session)
    }
}

impl Deref for Session {
    type Target = session_core::Session;

    fn deref(&self) -> &session_core::Session {
        &self.0
    }
}
