//! The engine behind `mongodb:` and `mongodb+srv:`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use session_core::{HandlerFactory, Result, SessionHandler, StoreUri};

use crate::config::{
    Indexes, MongoConfig, default_collection, default_max_record_bytes, default_timeout,
};
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

/// What may follow the `?`, each with `session.` in front.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    database: Option<String>,
    #[serde(default = "default_collection")]
    collection: String,
    #[serde(default = "default_timeout", with = "session_core::seconds")]
    timeout: Duration,
    #[serde(default = "default_max_record_bytes")]
    max_record_bytes: usize,
    #[serde(default)]
    indexes: Indexes,
}

#[async_trait]
impl HandlerFactory for MongoFactory {
    fn schemes(&self) -> &[&'static str] {
        &["mongodb", "mongodb+srv"]
    }

    async fn build(&self, uri: &StoreUri) -> Result<Arc<dyn SessionHandler>> {
        let Options { database, collection, timeout, max_record_bytes, indexes } = uri.options()?;
        let mut config = MongoConfig::new(uri.expose())
            .with_collection(collection)
            .with_timeout(timeout)
            .with_max_record_bytes(max_record_bytes)
            .with_indexes(indexes);
        config.database = database;
        Ok(Arc::new(MongoHandler::new(config)?))
    }
}
