//! The middleware: gives every request a handle to its session.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use session_core::{Result, SessionHandler, SessionManager};
use tower_layer::Layer;
use tower_service::Service;

use crate::installed::Installed;
use crate::lazy::LazySession;
use crate::settings::Settings;
use crate::{LayerBuilder, ResponseFuture, SessionBody, registry};

/// Gives every request a handle to its session, and saves what handlers changed
/// before the response headers leave.
///
/// Requests that never ask for the session cost no store call.
///
/// Put it outside of routers that strip a prefix from the path: a cookie's path
/// is compared with the path that the layer sees.
#[derive(Clone)]
pub struct SessionLayer(Arc<Settings>);

impl SessionLayer {
    /// Keeps sessions in a handler, with the default policy and cookie.
    ///
    /// Does not open the handler: call
    /// [`SessionHandler::open`](session_core::SessionHandler::open) first, so that a
    /// store that is not there is noticed at the start. [`connect`](Self::connect) does.
    #[must_use]
    pub fn new(handler: impl SessionHandler) -> Self {
        LayerBuilder::new(SessionManager::new(handler)).finish()
    }

    /// Keeps sessions in the store of a URI, with the default policy and cookie:
    /// `file:///var/lib/app/sessions`, `memory:`, and those of the enabled features.
    ///
    /// Expired sessions in files, MySQL, memory, and MongoDB without its TTL index
    /// are never read again, but stay until they are collected: hold a
    /// [`Gc`](session_core::Gc) of [`sessions`](Self::sessions), or set
    /// [`Policy::lottery`](session_core::Policy::lottery) with [`builder`](Self::builder).
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use session_http::SessionLayer;
    /// use session_http::session_core::Gc;
    ///
    /// # async fn connect() -> Result<(), session_http::SessionError> {
    /// let layer = SessionLayer::connect("file:///var/lib/app/sessions").await?;
    /// // Until it is dropped.
    /// let gc = Gc::spawn(layer.sessions(), Duration::from_secs(600))?;
    /// # drop(gc);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfig`](session_core::ErrorKind::InvalidConfig) for an
    /// unknown scheme or option; else what the store says.
    pub async fn connect(uri: &str) -> Result<Self> {
        Ok(Self::new(registry().connect(uri).await?))
    }

    /// Chooses cookie, transport and the rest for a manager's sessions.
    ///
    /// ```
    /// use session_http::session_core::{MemoryHandler, SessionManager};
    /// use session_http::{CookieConfig, SessionLayer};
    ///
    /// let sessions = SessionManager::new(MemoryHandler::new());
    /// let layer = SessionLayer::builder(sessions).cookie(CookieConfig::new("__Host-shop")).build()?;
    /// # Ok::<(), session_http::SessionError>(())
    /// ```
    pub fn builder(sessions: SessionManager) -> LayerBuilder {
        LayerBuilder::new(sessions)
    }

    pub(crate) fn from_settings(settings: Settings) -> Self {
        Self(Arc::new(settings))
    }

    /// Returns the manager, for administration and work outside of requests.
    #[must_use]
    pub fn sessions(&self) -> &SessionManager {
        &self.0.sessions
    }
}

impl fmt::Debug for SessionLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SessionLayer").field(&self.0).finish()
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> SessionService<S> {
        SessionService { inner, settings: Arc::clone(&self.0) }
    }
}

/// The service that [`SessionLayer`] makes.
#[derive(Clone, Debug)]
pub struct SessionService<S> {
    inner: S,
    settings: Arc<Settings>,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for SessionService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
{
    type Response = Response<SessionBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let lazy = LazySession::of(&request, &self.settings);
        let lazy = Installed::install(request.extensions_mut(), lazy);
        ResponseFuture::new(self.inner.call(request), lazy)
    }
}
