//! A request's session before anyone has asked for it.

use std::fmt;
use std::sync::{Arc, OnceLock};

use http::{HeaderValue, Request};
use session_core::{Access, CookieAction, Error, ErrorKind, Operation, Outage, Result};
use smallvec::{SmallVec, smallvec};
use tokio::sync::Mutex;

use crate::https::is_https;
use crate::settings::Settings;
use crate::{Session, Transport, cache};

/// A request's session before anyone has asked for it. Clones are the same.
///
/// Costs no store call until it is loaded, and then one, however often it is
/// asked for.
#[derive(Clone)]
pub struct LazySession(pub(crate) Arc<Lazy>);

pub(crate) struct Lazy {
    pub(crate) settings: Arc<Settings>,
    /// What the request said, per transport, as far as it said anything.
    presented: Option<Presented>,
    pub(crate) https: bool,
    /// Whether the request's path lies below the cookie's.
    covered: bool,
    loaded: OnceLock<Session>,
    /// One load at a time.
    loading: Mutex<()>,
}

/// The header fields of the transport that a request uses.
struct Presented {
    transport: usize,
    fields: SmallVec<[HeaderValue; 1]>,
}

impl LazySession {
    pub(crate) fn of<B>(request: &Request<B>, settings: &Arc<Settings>) -> Self {
        let headers = request.headers();
        let alone = settings.transports.len() == 1;
        let presented = settings.transports.iter().enumerate().find_map(|(transport, way)| {
            let name = way.request_header();
            let mut fields = smallvec![headers.get(name)?.clone()];
            // Few requests repeat any field.
            if headers.len() > headers.keys_len() {
                fields.extend(headers.get_all(name).iter().skip(1).cloned());
            }
            // What is not ours does not hide another transport.
            let counts = alone || way.is_used(&fields, &settings.cookies);
            counts.then_some(Presented { transport, fields })
        });
        let path = &settings.cookies.config.path;
        Self(Arc::new(Lazy {
            presented,
            https: is_https(request, settings.trust_proxy),
            covered: path == "/" || settings.cookies.config.covers(request.uri().path()),
            loaded: OnceLock::new(),
            loading: Mutex::new(()),
            settings: Arc::clone(settings),
        }))
    }

    /// Loads the session, once per request.
    ///
    /// # Errors
    ///
    /// What the store says: a store that is down is never an empty session,
    /// unless the policy says so. [`ErrorKind::Unsupported`] if the request's path
    /// lies outside of the cookie's.
    pub async fn load(&self) -> Result<Session> {
        self.load_for(Access::ReadWrite, self.outage()).await
    }

    /// Loads the session with another answer to a store that is down than the
    /// policy's: for a page that is shown to anybody, or one that must not be. If
    /// it is loaded already, it stays what it is.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load); [`ErrorKind::InvalidConfig`] for
    /// [`Outage::Stale`] where the policy's outage is another one.
    pub async fn load_or(&self, outage: Outage) -> Result<Session> {
        self.load_for(Access::ReadWrite, outage).await
    }

    /// Loads the session to read only: an exclusive one is not locked, and
    /// changes are refused. If it is loaded already, it stays what it is.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub async fn load_read_only(&self) -> Result<Session> {
        self.load_for(Access::ReadOnly, self.outage()).await
    }

    fn outage(&self) -> Outage {
        self.0.settings.sessions.policy().outage
    }

    async fn load_for(&self, access: Access, outage: Outage) -> Result<Session> {
        if !self.0.covered {
            let message = "the request lies outside of the session cookie's path";
            return Err(Error::new(ErrorKind::Unsupported, Operation::Read, message));
        }
        if let Some(session) = self.loaded() {
            return Ok(session.clone());
        }
        let turn = match self.0.loading.try_lock() {
            Ok(turn) => turn,
            Err(_) => self.0.loading.lock().await,
        };
        if let Some(session) = self.loaded() {
            return Ok(session.clone());
        }
        let session = self.0.load(access, outage).await?;
        // Nobody else has set it: this was our turn.
        let session = self.0.loaded.get_or_init(|| session).clone();
        drop(turn);
        Ok(session)
    }

    /// Returns the session if it is loaded.
    #[must_use]
    pub fn loaded(&self) -> Option<&Session> {
        self.0.loaded.get()
    }

    /// Returns the name of the cookie, by which several sessions of one request
    /// are told apart.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.settings.cookies.config.name
    }

    /// Returns whether the request's path lies below the cookie's.
    #[cfg(feature = "axum")]
    pub(crate) fn is_covered(&self) -> bool {
        self.0.covered
    }

    /// Returns whether every visitor gets a session, and this one has none yet.
    pub(crate) fn is_due(&self) -> bool {
        self.0.settings.eager && self.0.covered && self.0.loaded.get().is_none()
    }

    /// Tells the client, and caches, in response headers.
    pub(crate) fn tell(&self, action: &CookieAction, headers: &mut http::HeaderMap) {
        let settings = &self.0.settings;
        let transport = self.0.transport();
        cache::mark_private(headers, transport.request_header(), action);
        transport.tell(action, headers, &settings.cookies, self.0.https);
    }
}

impl Lazy {
    fn transport(&self) -> &Transport {
        let at = self.presented.as_ref().map_or(0, |presented| presented.transport);
        &self.settings.transports[at]
    }

    async fn load(&self, access: Access, outage: Outage) -> Result<Session> {
        let fields = self.presented.as_ref().map_or(&[][..], |presented| &presented.fields);
        let ids = self.transport().ids(fields, &self.settings.cookies);
        self.settings.sessions.load_any_or(&ids, access, outage).await.map(Session)
    }
}

impl fmt::Debug for LazySession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LazySession")
            .field("name", &self.name())
            .field("loaded", &self.loaded().is_some())
            .finish()
    }
}
