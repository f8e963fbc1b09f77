//! `request.session()`.

use std::future::Future;

use http::request::Parts;
use http::{Extensions, Request};
use session_core::Result;

use crate::installed::Installed;
use crate::{LazySession, Session};

/// `request.session()` for [`http::Request`] and its [`Parts`].
///
/// ```
/// use session_http::RequestSessionExt;
///
/// async fn visits(request: http::Request<()>) -> Result<i64, session_http::SessionError> {
///     let session = request.session().await?;
///     session.increment("visits", 1)
/// }
/// ```
pub trait RequestSessionExt {
    /// Loads the session, once per request.
    ///
    /// # Errors
    ///
    /// What the store says; or [`InvalidConfig`](crate::ErrorKind::InvalidConfig)
    /// if the request passed no [`SessionLayer`](crate::SessionLayer), or several.
    fn session(&self) -> impl Future<Output = Result<Session>> + Send + 'static;

    /// Loads one of several sessions, by the name of its cookie.
    ///
    /// # Errors
    ///
    /// As [`session`](Self::session).
    fn session_named(&self, name: &str) -> impl Future<Output = Result<Session>> + Send + 'static;

    /// Returns the session without loading it.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](crate::ErrorKind::InvalidConfig) if the request passed no
    /// layer, or several.
    fn lazy_session(&self) -> Result<LazySession>;

    /// Returns one of several sessions without loading it, by the name of its cookie.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](crate::ErrorKind::InvalidConfig) if the request passed no
    /// layer with such a cookie, or two different ones.
    fn lazy_session_named(&self, name: &str) -> Result<LazySession>;
}

impl<B> RequestSessionExt for Request<B> {
    fn session(&self) -> impl Future<Output = Result<Session>> + Send + 'static {
        load(self.extensions(), None)
    }

    fn session_named(&self, name: &str) -> impl Future<Output = Result<Session>> + Send + 'static {
        load(self.extensions(), Some(name))
    }

    fn lazy_session(&self) -> Result<LazySession> {
        Installed::find(self.extensions(), None)
    }

    fn lazy_session_named(&self, name: &str) -> Result<LazySession> {
        Installed::find(self.extensions(), Some(name))
    }
}

impl RequestSessionExt for Parts {
    fn session(&self) -> impl Future<Output = Result<Session>> + Send + 'static {
        load(&self.extensions, None)
    }

    fn session_named(&self, name: &str) -> impl Future<Output = Result<Session>> + Send + 'static {
        load(&self.extensions, Some(name))
    }

    fn lazy_session(&self) -> Result<LazySession> {
        Installed::find(&self.extensions, None)
    }

    fn lazy_session_named(&self, name: &str) -> Result<LazySession> {
        Installed::find(&self.extensions, Some(name))
    }
}

/// Does not borrow the request, whose body need not be shareable.
fn load(
    extensions: &Extensions,
    name: Option<&str>,
) -> impl Future<Output = Result<Session>> + Send + use<> {
    let found = Installed::find(extensions, name);
    async move { found?.load().await }
}
