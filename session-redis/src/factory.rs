//! The engine behind `redis:` and its relatives.

use std::sync::Arc;

use async_trait::async_trait;
use session_core::{Clock, HandlerFactory, Result, SessionHandler, StoreUri, SystemClock};

use crate::address::SCHEMES;
use crate::config::RedisConfig;
use crate::error::invalid;
use crate::handler::RedisHandler;

/// Serves `redis:` URIs: `redis://:password@host:6379/1?session.prefix=session_`.
///
/// And `rediss:` (TLS), `valkey:`, `valkeys:`, `unix:`, `redis+unix:`,
/// `redis+sentinel:`, `rediss+sentinel:`, `redis+cluster:` and `rediss+cluster:`.
/// The options are those of [`RedisConfig`], each with `session.` in front.
#[derive(Clone, Debug)]
pub struct RedisFactory {
    clock: Arc<dyn Clock>,
}

impl RedisFactory {
    /// Makes a factory of handlers that go by the system's clock.
    #[must_use]
    pub fn new() -> Self {
        Self { clock: Arc::new(SystemClock) }
    }

    /// Sets the clock of what the handlers report; see [`RedisHandler::with_clock`].
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
}

impl Default for RedisFactory {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl HandlerFactory for RedisFactory {
    fn schemes(&self) -> &[&'static str] {
        SCHEMES
    }

    async fn build(&self, uri: &StoreUri) -> Result<Arc<dyn SessionHandler>> {
        let options: RedisConfig = uri.options()?;
        if options.url.is_some() {
            return Err(invalid("the URI is the URL; leave out session.url"));
        }
        let config = RedisConfig { url: Some(uri.expose().to_owned()), ..options };
        Ok(Arc::new(RedisHandler::new(config)?.with_clock(Arc::clone(&self.clock))))
    }
}

#[cfg(test)]
mod tests {
    use session_core::{ErrorKind, Registry};

    use super::*;

    async fn build(uri: &str) -> Result<Arc<dyn SessionHandler>> {
        RedisFactory::new().build(&StoreUri::parse(uri)?).await
    }

    #[tokio::test]
    async fn options_are_read_from_the_uri() {
        let uri = "redis://:secret@h:1/2?session.prefix=s_&session.timeout=0.5\
                   &session.min_replica_acks=1&session.replica_timeout=0.1\
                   &session.max_record_bytes=10&protocol=resp3";
        let handler = build(uri).await.unwrap();
        assert_eq!(handler.info().max_payload, Some(10));
        let shown = format!("{handler:?}");
        assert!(shown.contains("s_") && shown.contains("500ms"), "{shown}");
        assert!(!shown.contains("secret"));
    }

    #[tokio::test]
    async fn bad_options_are_one_clear_line_without_the_password() {
        for (option, says) in [
            ("session.prefx=x", "session.prefx"),
            ("session.timeout=soon", "session.timeout"),
            ("session.prefix=", "prefix"),
            ("session.prefix={", "hash tag"),
            ("session.master=m", "redis+sentinel"),
            ("session.url=redis://h", "session.url"),
            ("session.host=h", "host"),
            ("timeout=1", "session."),
        ] {
            let err = build(&format!("redis://:secret@h?{option}")).await.unwrap_err();
            assert_eq!(err.kind(), ErrorKind::InvalidConfig, "{option}");
            let text = err.to_string();
            assert!(text.contains(says) && !text.contains("secret"), "{text}");
            assert_eq!(text.lines().count(), 1);
        }
    }

    #[tokio::test]
    async fn an_unreachable_server_is_one_clear_line() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let registry = Registry::new().with(RedisFactory::new());
        let uri = format!("redis://:secret@127.0.0.1:{port}?session.timeout=2");
        let err = registry.connect(&uri).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Unavailable);
        assert!(!err.is_indeterminate());
        assert!(err.to_string().contains("check host and port"), "{err}");
        assert!(!format!("{err:?}").contains("secret"));
    }
}
