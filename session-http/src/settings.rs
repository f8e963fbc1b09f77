//! What all requests of a layer share.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use session_core::{Error, SessionManager};

use crate::cookie::Cookies;
use crate::{SaveRule, Transport};

/// Makes the response to an error.
pub(crate) type ErrorResponse = Arc<dyn Fn(&Error) -> Response<Bytes> + Send + Sync>;

/// What all requests of a layer share.
pub(crate) struct Settings {
    pub(crate) sessions: SessionManager,
    pub(crate) cookies: Cookies,
    pub(crate) transports: Vec<Transport>,
    pub(crate) save_rule: SaveRule,
    pub(crate) error_response: ErrorResponse,
    pub(crate) trust_proxy: bool,
    pub(crate) eager: bool,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("sessions", &self.sessions)
            .field("cookies", &self.cookies)
            .field("transports", &self.transports)
            .field("save_rule", &self.save_rule)
            .finish_non_exhaustive()
    }
}
