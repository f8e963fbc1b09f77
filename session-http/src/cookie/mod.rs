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
    /// The field without a value, for HTTP and for HTTPS.
    templates: [String; 2],
}

impl Cookies {
    pub(crate) fn new(config: CookieConfig) -> Self {
        Self {
            templates: [false, true].map(|https| write::template(&config, https)),
            config,
            #[cfg(feature = "signed")]
            keys: None,
        }
    }

    pub(crate) fn configure(&mut self, config: CookieConfig) {
        self.templates = [false, true].map(|https| write::template(&config, https));
        self.config = config;
    }
}
