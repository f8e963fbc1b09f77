//! The engine behind `mysql:` and `mariadb:`.

use std::sync::Arc;

use async_trait::async_trait;
use session_core::{HandlerFactory, Result, SessionHandler, StoreUri};

use crate::config::MysqlConfig;
use crate::error;
use crate::handler::MysqlHandler;

/// Serves `mysql:` and `mariadb:` URIs:
/// `mysql://app:secret@db.example/app?ssl-mode=verify_identity&session.table=web_sessions`.
///
/// Options that begin with `session.` are those of [`MysqlConfig`]; the others
/// are the driver's.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct MysqlFactory;

impl MysqlFactory {
    /// Makes a factory.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

#[async_trait]
impl HandlerFactory for MysqlFactory {
    fn schemes(&self) -> &[&'static str] {
        &["mysql", "mariadb"]
    }

    async fn build(&self, uri: &StoreUri) -> Result<Arc<dyn SessionHandler>> {
        let options: MysqlConfig = uri.options()?;
        if options.url.is_some() {
            return Err(error::invalid("the URI is the URL; leave out `session.url`"));
        }
        let config = MysqlConfig { url: Some(uri.expose().into()), ..options };
        Ok(Arc::new(MysqlHandler::new(config)?))
    }
}

#[cfg(test)]
mod tests {
    use session_core::{ErrorKind, Registry};

    use super::*;

    #[tokio::test]
    async fn options_reach_the_handler_and_unknown_ones_are_named() {
        let build = async |text: &str| MysqlFactory.build(&StoreUri::parse(text)?).await;
        for scheme in ["mysql", "mariadb"] {
            let uri = format!("{scheme}://h/d?session.table=a.b&session.timeout=0.5");
            assert_eq!(build(&uri).await.unwrap().info().name, "mysql");
        }
        for (query, name) in [
            ("session.tabel=x", "tabel"),
            ("session.url=mysql://h/d", "url"),
            ("session.schema=upgrade", "schema"),
            ("session.timeout=0", "timeout"),
            ("session.table=a%60b", "table"),
            ("session.max_connections=0", "max_connections"),
            ("tls=yes", "tls"),
        ] {
            let err = build(&format!("mysql://ann:hunter2@h/d?{query}")).await.unwrap_err();
            assert_eq!(err.kind(), ErrorKind::InvalidConfig, "{query}");
            assert!(err.to_string().contains(name), "{err}");
            assert!(!err.to_string().contains("hunter2"), "{err}");
        }
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_an_error_without_the_password() {
        let registry = Registry::new().with(MysqlFactory::new());
        let err = registry.connect("mysql://ann:hunter2@127.0.0.1:1/d").await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Unavailable);
        assert!(!err.is_indeterminate());
        let text = format!("{err} {err:?}");
        assert!(text.contains("cannot connect") && !text.contains("hunter2"), "{text}");
    }
}
