//! The engine behind `memory:`.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;

use super::error::{NAME, named};
use super::handler::MemoryHandler;
use crate::{Clock, Error, ErrorKind, HandlerFactory, Operation, Result, SessionHandler, StoreUri};

/// Serves `memory:`. Every URI that is built gets a store of its own.
#[derive(Clone, Debug, Default)]
pub struct MemoryFactory {
    clock: Option<Arc<dyn Clock>>,
}

impl MemoryFactory {
    /// Makes a factory whose handlers go by the system's clock.
    #[must_use]
    pub const fn new() -> Self {
        Self { clock: None }
    }

    /// Sets the clock of the handlers.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }
}

/// There are no options; naming one is an error.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {}

#[async_trait]
impl HandlerFactory for MemoryFactory {
    fn schemes(&self) -> &[&'static str] {
        &[NAME]
    }

    async fn build(&self, uri: &StoreUri) -> Result<Arc<dyn SessionHandler>> {
        let Options {} = uri.options()?;
        if !uri.path()?.as_os_str().is_empty() {
            let message = "memory has no places to choose from; write `memory:`";
            let err = Error::new(ErrorKind::InvalidConfig, Operation::Configure, message);
            return Err(named(err));
        }
        let handler = MemoryHandler::new();
        Ok(Arc::new(match &self.clock {
            Some(clock) => handler.with_clock(Arc::clone(clock)),
            None => handler,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Registry;

    #[tokio::test]
    async fn the_registry_finds_memory_by_its_scheme() {
        let registry = Registry::new().with(MemoryFactory::new());
        assert_eq!(registry.connect("memory:").await.unwrap().info().name, "memory");
    }

    #[tokio::test]
    async fn a_path_or_an_option_is_refused() {
        let registry = Registry::new().with(MemoryFactory::new());
        for bad in ["memory:/tmp", "memory://host", "memory:?session.size=3", "memory:?size=3"] {
            let err = registry.connect(bad).await.unwrap_err();
            assert_eq!(err.kind(), ErrorKind::InvalidConfig, "{bad}");
        }
    }
}
