//! Which responses save the session.

use std::fmt;
use std::sync::Arc;

use http::StatusCode;
use session_core::Save;

/// Which responses save what the handler changed.
///
/// That a session ended or got a new id is saved in every case.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum SaveRule {
    /// All but server errors (5xx). The default: the half-done work of a failed
    /// request should not stay.
    #[default]
    ExceptServerErrors,
    /// All.
    Always,
    /// As a function says.
    Custom(Arc<dyn Fn(StatusCode) -> Save + Send + Sync>),
}

impl SaveRule {
    /// Decides by a function.
    ///
    /// ```
    /// use session_http::SaveRule;
    /// use session_http::session_core::Save;
    ///
    /// // A 401 neither saves nor prolongs the session.
    /// let rule = SaveRule::custom(|status| {
    ///     if status == 401 || status.is_server_error() { Save::Endings } else { Save::All }
    /// });
    /// # drop(rule);
    /// ```
    #[must_use]
    pub fn custom(rule: impl Fn(StatusCode) -> Save + Send + Sync + 'static) -> Self {
        Self::Custom(Arc::new(rule))
    }

    pub(crate) fn decide(&self, status: StatusCode) -> Save {
        match self {
            Self::ExceptServerErrors if status.is_server_error() => Save::Endings,
            Self::ExceptServerErrors | Self::Always => Save::All,
            Self::Custom(rule) => rule(status),
        }
    }
}

impl fmt::Debug for SaveRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ExceptServerErrors => "ExceptServerErrors",
            Self::Always => "Always",
            Self::Custom(_) => "Custom",
        })
    }
}
