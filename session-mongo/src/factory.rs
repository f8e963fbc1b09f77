//! The engine behind `mongodb:` and `mongodb+srv:`.

use std::sync::Arc;

use async_trait::async_trait;
use session_core::{HandlerFactory, Result, SessionHandler, StoreUri};

use crate::config::MongoConfig;
use crate::error;
use crate::handler::MongoHandler;

/// Serves `mongodb:` and `mongodb+srv:` URIs:
/// `mongodb://a:27017,b:27017/app?replicaSet=rs0&session.collection=logins`.
///
/// Everything but the options that begin with `session.` goes to the driver
/// untouched. Those are the ones of [`MongoConfig`].
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct MongoFactory;

impl MongoFactory {
    /// Makes a factory.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

#[async_trait]
impl HandlerFactory for MongoFactory {
    fn schemes(&self) -> &[&'static str] {
        &["mongodb", "mongodb+srv"]
    }

    async fn build(&self, uri: &StoreUri) -> Result<Arc<dyn SessionHandler>> {
        let options: MongoConfig = uri.options()?;
        if options.uri.is_some() {
            return Err(error::invalid("the URI is given already; leave out `session.uri`"));
        }
        let config = MongoConfig { uri: Some(uri.expose().into()), ..options };
        Ok(Arc::new(MongoHandler::new(config)?))
    }
}

#[cfg(test)]
mod tests {
    use session_core::ErrorKind;

    use super::*;

    #[tokio::test]
    async fn options_reach_the_handler_and_unknown_ones_are_named() {
        let build = async |text: &str| MongoFactory.build(&StoreUri::parse(text)?).await;
        let uri = "mongodb://h/app?session.collection=a.b&session.timeout=0.5";
        assert_eq!(build(uri).await.unwrap().info().name, error::NAME);
        for (query, name) in [
            ("session.colection=x", "colection"),
            ("session.uri=mongodb://h/d", "uri"),
            ("session.indexes=drop", "indexes"),
            ("session.timeout=0", "timeout"),
            ("session.collection=a%24b", "collection"),
        ] {
            let err = build(&format!("mongodb://ann:hunter2@h/app?{query}")).await.unwrap_err();
            assert_eq!(err.kind(), ErrorKind::InvalidConfig, "{query}");
            assert!(err.to_string().contains(name), "{err}");
            assert!(!err.to_string().contains("hunter2"), "{err}");
        }
    }
}
