//! The session cookie.

mod config;
mod parse;
#[cfg(feature = "signed")]
mod sign;
mod write;

pub use self::config::{CookieConfig, SameSite, Secure};
#[cfg(feature = "signed")]
pub use self::sign::KeyRing;

/// A checked cookie configuration, and the keys that sign its values.
#[derive(Clone, Debug)]
pub(crate) struct Cookies {
    pub(crate) config: CookieConfig,
    #[cfg(feature = "signed")]
    pub(crate) keys: Option<KeyRing>,
}
