//! Settings of a whole site's sessions, as they stand in a file.

use serde::Deserialize;
use session_core::{
    Error, ErrorKind, ManagerBuilder, Operation, Registry, Result, SessionConfig, SessionManager,
};

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
///
/// In a larger file, nest it: serde cannot tell unknown settings from those of
/// the application where it is flattened.
///
/// ```
/// use session_http::HttpConfig;
///
/// #[derive(serde::Deserialize)]
/// struct Settings {
///     listen: String,
///     http: HttpConfig,
/// }
///
/// let settings: Settings = toml::from_str(
///     r#"
///     listen = "127.0.0.1:8080"
///
///     [http.session]
///     store = "file:///var/lib/app/sessions"
///
///     [http.cookie]
///     name = "__Host-shop"
///     "#,
/// )?;
/// assert_eq!(settings.listen, "127.0.0.1:8080");
/// assert_eq!(settings.http.cookie.name, "__Host-shop");
/// # Ok::<(), toml::de::Error>(())
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
    /// stand in a file: signed cookies, other transports, error responses. For an
    /// observer see [`builder_with`](Self::builder_with).
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
        self.builder_with(registry, |sessions| sessions).await
    }

    /// Connects to the store and returns the layer's builder, after `with` has added
    /// to the manager what does not stand in a file: an observer, a clock, a runtime.
    ///
    /// ```
    /// use session_http::session_core::{Event, Observer};
    /// use session_http::{HttpConfig, SessionLayer, registry};
    ///
    /// #[derive(Debug)]
    /// struct Log;
    ///
    /// impl Observer for Log {
    ///     fn observe(&self, event: &Event<'_>) {
    ///         eprintln!("{event:?}");
    ///     }
    /// }
    ///
    /// # async fn connect(config: HttpConfig) -> Result<SessionLayer, session_http::SessionError> {
    /// config.builder_with(&registry(), |sessions| sessions.observer(Log)).await?.build()
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn builder_with(
        &self,
        registry: &Registry,
        with: impl FnOnce(ManagerBuilder) -> ManagerBuilder,
    ) -> Result<LayerBuilder> {
        // Before the store is touched.
        self.cookie.check()?;
        let (policy, serializers) = (self.session.policy()?, self.session.serializers()?);
        let Some(store) = &self.session.store else {
            let known: Vec<_> = registry.schemes().collect();
            let message =
                format!("`store` of `session` is missing; give a URI, of: {}", known.join(", "));
            return Err(Error::new(ErrorKind::InvalidConfig, Operation::Configure, message));
        };
        let handler = registry.connect(store).await?;
        let sessions = SessionManager::builder(handler).policy(policy).serializers(serializers);
        let sessions = with(sessions).build()?;
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
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use session_core::{Event, Observer};

    use super::*;
    use crate::registry;

    /// Counts the sessions that were created.
    #[derive(Clone, Debug, Default)]
    struct Created(Arc<AtomicUsize>);

    impl Observer for Created {
        fn observe(&self, event: &Event<'_>) {
            if matches!(event, Event::Created) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// What nests these settings in a file of its own.
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Site {
        listen: String,
        http: HttpConfig,
    }

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

    #[tokio::test]
    async fn an_observer_is_added_in_code() {
        let created = Created::default();
        let config = read("[session]\nstore = 'memory:'\nidle = 60");
        let observe = |sessions: ManagerBuilder| sessions.observer(created.clone());
        let layer = config.builder_with(&registry(), observe).await.unwrap().build().unwrap();
        let session = layer.sessions().create();
        session.set("a", 1).unwrap();
        session.save().await.unwrap();
        assert_eq!(created.0.load(Ordering::Relaxed), 1);
        assert_eq!(layer.sessions().policy().idle.as_secs(), 60);
    }

    #[tokio::test]
    async fn a_missing_store_is_named_with_those_there_are() {
        let err = HttpConfig::default().connect(&registry()).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidConfig);
        assert!(err.to_string().contains("`store`") && err.to_string().contains("memory"), "{err}");
    }

    #[tokio::test]
    async fn a_larger_file_nests_it() {
        let text = "listen = 'here'\n[http.session]\nstore = 'memory:'\nidle = 60\n\
                    [http.cookie]\nname = '__Host-a'";
        let site: Site = toml::from_str(text).unwrap();
        let layer = site.http.connect(&registry()).await.unwrap();
        assert_eq!((site.listen.as_str(), site.http.cookie.name.as_str()), ("here", "__Host-a"));
        assert_eq!(layer.sessions().policy().idle.as_secs(), 60);
        let typo = toml::from_str::<Site>(&format!("{text}\ncolour = 'red'")).unwrap_err();
        assert!(typo.to_string().contains("colour"), "{typo}");
    }

    #[test]
    fn an_unknown_setting_is_an_error() {
        for text in ["colour = 'red'", "[cookie]\ncolour = 'red'", "[session]\ncolour = 'red'"] {
            assert!(toml::from_str::<HttpConfig>(text).is_err(), "{text}");
        }
    }
}
