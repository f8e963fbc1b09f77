//! Puts a layer together.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use session_core::{Error, ErrorKind, Operation, Result, SessionManager};

use crate::cookie::Cookies;
use crate::layer::SessionLayer;
use crate::settings::Settings;
use crate::{CookieConfig, SaveRule, Transport, default_response};

/// Puts a [`SessionLayer`] together.
#[must_use]
pub struct LayerBuilder(Settings);

impl LayerBuilder {
    pub(crate) fn new(sessions: SessionManager) -> Self {
        Self(Settings {
            sessions,
            cookies: Cookies::new(CookieConfig::default()),
            transports: vec![Transport::Cookie],
            save_rule: SaveRule::default(),
            error_response: Arc::new(default_response),
            trust_proxy: false,
            eager: false,
        })
    }

    /// Sets the cookie's name and attributes.
    pub fn cookie(mut self, cookie: CookieConfig) -> Self {
        self.0.cookies.configure(cookie);
        self
    }

    /// Signs the cookie's value, so that made-up ids cost no store call.
    #[cfg(feature = "signed")]
    pub fn signed(mut self, keys: crate::KeyRing) -> Self {
        self.0.cookies.keys = Some(keys);
        self
    }

    /// Sets how the id travels. The first transport that a request uses counts,
    /// and answers; a client that uses none is answered by the first.
    pub fn transports(mut self, transports: impl IntoIterator<Item = Transport>) -> Self {
        self.0.transports = transports.into_iter().collect();
        self
    }

    /// Sets which responses save what the handler changed.
    pub fn save_rule(mut self, rule: SaveRule) -> Self {
        self.0.save_rule = rule;
        self
    }

    /// Sets the response to an error of the session: one that an extractor's load
    /// or the save after the handler met. What a handler itself returns is its own
    /// choice. The default is [`default_response`].
    pub fn error_response(
        mut self,
        response: impl Fn(&Error) -> Response<Bytes> + Send + Sync + 'static,
    ) -> Self {
        self.0.error_response = Arc::new(response);
        self
    }

    /// Believes the header `X-Forwarded-Proto`, of which the first entry counts.
    /// Only behind a proxy that sets it itself: clients can send it too.
    pub fn trust_proxy(mut self, trust: bool) -> Self {
        self.0.trust_proxy = trust;
        self
    }

    /// Gives every visitor a stored session, even where no handler asks for it.
    ///
    /// **Warning**: every robot then costs a record.
    pub fn eager(mut self, eager: bool) -> Self {
        self.0.eager = eager;
        self
    }

    /// Checks the settings and returns the layer.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfig`] if a browser would refuse the cookie, or
    /// there is no transport.
    pub fn build(self) -> Result<SessionLayer> {
        self.0.cookies.config.check()?;
        if self.0.transports.is_empty() {
            let message = "a session needs at least one transport";
            return Err(Error::new(ErrorKind::InvalidConfig, Operation::Configure, message));
        }
        Ok(self.finish())
    }

    /// Returns the layer without checks, for settings that are known to be sound.
    pub(crate) fn finish(self) -> SessionLayer {
        SessionLayer::from_settings(self.0)
    }
}

impl fmt::Debug for LayerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LayerBuilder").field(&self.0).finish()
    }
}
