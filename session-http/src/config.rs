//! Settings of a whole site's sessions, as they stand in a file.

use serde::Deserialize;
use session_core::{Registry, Result, SessionConfig};

use crate::{CookieConfig, LayerBuilder, SaveRule, SessionLayer};

/// Settings of a whole site's sessions, as they stand in a file.
///
/// Everything may be left out but the store; an unknown setting is an error.
///
/// ```
/// use session_http::HttpConfig;
///
/// # async fn connect() -> Result<(), Box<dyn std::error::Error>> {
/// let config: HttpConfig = toml::from_str(
///     r#"
///     [session]
///     store = "file:///var/lib/app/sessions"
///     idle = 900
///
///     [cookie]
///     name = "__Host-shop"
///     same_site = "strict"
///     "#,
/// )?;
/// let layer = config.connect(&session_http::registry()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct HttpConfig {
    /// The store and the policy.
    pub session: SessionConfig,
    /// The cookie.
    pub cookie: CookieConfig,
    /// See [`LayerBuilder::trust_proxy`](crate::LayerBuilder::trust_proxy). Default no.
    pub trust_proxy: bool,
    /// See [`LayerBuilder::eager`](crate::LayerBuilder::eager). Default no.
    pub eager: bool,
    /// Whether server errors (5xx) save what the handler changed. Default no.
    pub save_on_server_error: bool,
}

impl HttpConfig {
    /// Connects to the store and returns the layer.
    ///
    /// Expired sessions in files, MySQL, memory, and MongoDB without its TTL index
    /// are never read again, but stay until they are collected: hold a
    /// [`Gc`](session_core::Gc) of [`SessionLayer::sessions`], or set `gc_probability`
    /// ([`Policy::lottery`](session_core::Policy::lottery)).
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](crate::ErrorKind::InvalidConfig) if the settings are
    /// impossible; else what the store says.
    pub async fn connect(&self, registry: &Registry) -> Result<SessionLayer> {
        self.builder(registry).await?.build()
    }

    /// Connects to the store and returns the layer's builder, for what does not
    /// stand in a file: signed cookies, other transports, error responses.
    ///
    /// ```
    /// use session_http::{HttpConfig, Transport, registry};
    ///
    /// # async fn connect(config: HttpConfig) -> Result<(), session_http::SessionError> {
    /// let header = Transport::Header(http::HeaderName::from_static("x-session"));
    /// let layer =
    ///     config.builder(&registry()).await?.transports([Transport::Cookie, header]).build()?;
    /// # drop(layer);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn builder(&self, registry: &Registry) -> Result<LayerBuilder> {
        // Before the store is touched.
        self.cookie.check()?;
        let sessions = self.session.connect(registry).await?;
        let rule = if self.save_on_server_error { SaveRule::Always } else { SaveRule::default() };
        Ok(SessionLayer::builder(sessions)
            .cookie(self.cookie.clone())
            .trust_proxy(self.trust_proxy)
            .eager(self.eager)
            .save_rule(rule))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, registry};

    fn read(text: &str) -> HttpConfig {
        toml::from_str(text).unwrap()
    }

    #[tokio::test]
    async fn a_file_makes_a_layer() {
        let config = read("[session]\nstore = 'memory:'\nidle = 60\n[cookie]\nname = '__Host-a'");
        let layer = config.connect(&registry()).await.unwrap();
        assert_eq!(layer.sessions().policy().idle.as_secs(), 60);
    }

    #[tokio::test]
    async fn an_impossible_cookie_is_refused_before_the_store_is_asked() {
        let config = read("[session]\nstore = 'nowhere:'\n[cookie]\ndomain = 'example.org'");
        let err = config.connect(&registry()).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidConfig);
        assert!(err.to_string().contains("__Host-"), "{err}");
    }

    #[tokio::test]
    async fn what_does_not_stand_in_a_file_is_added_in_code() {
        let config =
            read("eager = true\n[session]\nstore = 'memory:'\n[cookie]\nname = '__Host-a'");
        let builder = config.builder(&registry()).await.unwrap();
        let layer = builder.transports([crate::Transport::Bearer(http::header::ETAG)]).build();
        let layer = format!("{:?}", layer.unwrap());
        assert!(layer.contains("__Host-a") && layer.contains("Bearer"), "{layer}");
    }

    #[test]
    fn an_unknown_setting_is_an_error() {
        for text in ["colour = 'red'", "[cookie]\ncolour = 'red'", "[session]\ncolour = 'red'"] {
            assert!(toml::from_str::<HttpConfig>(text).is_err(), "{text}");
        }
    }
}
