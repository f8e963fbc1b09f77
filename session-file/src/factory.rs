//! The engine behind `file:`.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;
use session_core::{Clock, HandlerFactory, Result, SessionHandler, StoreUri, SystemClock};

use crate::config::{Durability, FileConfig, default_max_blocking, default_max_record_bytes};
use crate::error::NAME;
use crate::handler::FileHandler;

/// Serves `file:` URIs: `file:///var/lib/app/sessions?session.durability=process`.
///
/// The path is the save path, relative to the working directory if it has no
/// slash at its front (`file:sessions`). The options are those of [`FileConfig`].
#[derive(Clone, Debug)]
pub struct FileFactory {
    clock: Arc<dyn Clock>,
}

impl FileFactory {
    /// Makes a factory whose handlers go by the system's clock.
    #[must_use]
    pub fn new() -> Self {
        Self { clock: Arc::new(SystemClock) }
    }

    /// Sets the clock of the handlers.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
}

impl Default for FileFactory {
    fn default() -> Self {
        Self::new()
    }
}

/// What may follow the path, each with `session.` in front.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    #[serde(default)]
    durability: Durability,
    #[serde(default = "default_max_blocking")]
    max_blocking: usize,
    #[serde(default = "default_max_record_bytes")]
    max_record_bytes: usize,
}

#[async_trait]
impl HandlerFactory for FileFactory {
    fn schemes(&self) -> &[&'static str] {
        &[NAME]
    }

    async fn build(&self, uri: &StoreUri) -> Result<Arc<dyn SessionHandler>> {
        let Options { durability, max_blocking, max_record_bytes } = uri.options()?;
        let config = FileConfig::new(uri.path()?)
            .with_durability(durability)
            .with_max_blocking(max_blocking)
            .with_max_record_bytes(max_record_bytes);
        Ok(Arc::new(FileHandler::new(config)?.with_clock(Arc::clone(&self.clock))))
    }
}
