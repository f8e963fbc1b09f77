//! Which engine serves which scheme.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::{Error, ErrorKind, Operation, Result, SessionHandler, StoreUri};

/// Makes the handlers of one engine from URIs.
#[async_trait]
pub trait HandlerFactory: fmt::Debug + Send + Sync + 'static {
    /// Returns the schemes this factory serves, in lower case.
    fn schemes(&self) -> &[&'static str];

    /// Builds a handler without opening it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfig`] for an impossible URI or an unknown option.
    async fn build(&self, uri: &StoreUri) -> Result<Arc<dyn SessionHandler>>;
}

/// The engines that a program knows, by the scheme of their URIs.
///
/// A plain value: fill one at start-up, pass it down, drop it. There is no
/// process-wide registry.
///
/// ```
/// use session_core::{MemoryFactory, Registry};
///
/// # async fn example() -> session_core::Result<()> {
/// let registry = Registry::new().with(MemoryFactory::new());
/// let handler = registry.connect("memory:").await?;
/// assert_eq!(handler.info().name, "memory");
///
/// let err = registry.connect("acme://host").await.unwrap_err();
/// assert!(err.to_string().ends_with("no engine for the scheme `acme`; known: memory"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Registry {
    factories: BTreeMap<&'static str, Arc<dyn HandlerFactory>>,
    absent: BTreeMap<&'static str, &'static str>,
}

impl Registry {
    /// Makes a registry that knows no engine.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an engine. For a scheme that is already served, the later engine wins.
    #[must_use]
    pub fn with(mut self, factory: impl HandlerFactory) -> Self {
        let factory: Arc<dyn HandlerFactory> = Arc::new(factory);
        for &scheme in factory.schemes() {
            self.factories.insert(scheme, Arc::clone(&factory));
        }
        self
    }

    /// Says how to get an engine that this program was built without.
    ///
    /// The advice becomes part of the error when its scheme is asked for.
    #[must_use]
    pub fn with_absent(mut self, scheme: &'static str, advice: &'static str) -> Self {
        self.absent.insert(scheme, advice);
        self
    }

    /// Returns the schemes that are served, sorted.
    pub fn schemes(&self) -> impl Iterator<Item = &'static str> {
        self.factories.keys().copied()
    }

    /// Builds the handler for a URI and opens it, so that a wrong password or
    /// path fails at start-up.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfig`] for a scheme, path or option that nobody
    /// knows; else what the engine says.
    pub async fn connect(&self, uri: &str) -> Result<Arc<dyn SessionHandler>> {
        let uri = StoreUri::parse(uri)?;
        let factory = self.factories.get(uri.scheme()).ok_or_else(|| self.unknown(uri.scheme()))?;
        let handler = factory.build(&uri).await?;
        handler.open().await?;
        Ok(handler)
    }

    fn unknown(&self, scheme: &str) -> Error {
        let message = match self.absent.get(scheme) {
            Some(advice) => format!("the engine for `{scheme}` is not compiled in; {advice}"),
            None => {
                let known = self.schemes().collect::<Vec<_>>().join(", ");
                format!("no engine for the scheme `{scheme}`; known: {known}")
            }
        };
        Error::new(ErrorKind::InvalidConfig, Operation::Configure, message)
    }
}
