//! What all routes share.

use std::sync::Arc;

use session_core::testkit::Chaos;
use session_core::{MemoryFactory, Result, SessionManager};
use session_file::FileFactory;
use session_http::{LayerBuilder, SessionLayer, registry};
use session_redis::RedisFactory;

use crate::answer;
use crate::barriers::Barriers;
use crate::clock::ProbeClock;
use crate::faults::Tally;
use crate::options::Options;

/// What all routes share. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) sessions: SessionManager,
    pub(crate) chaos: Chaos,
    /// The store behind the faults.
    pub(crate) store: Arc<dyn session_core::SessionHandler>,
    pub(crate) tally: Tally,
    pub(crate) clock: ProbeClock,
    pub(crate) barriers: Barriers,
}

impl App {
    pub(crate) async fn open(options: &Options) -> Result<Self> {
        let clock = ProbeClock::new(options.virtual_clock);
        let registry = registry()
            .with(MemoryFactory::new().with_clock(clock.shared()))
            .with(FileFactory::new().with_clock(clock.shared()))
            .with(RedisFactory::new().with_clock(clock.shared()));
        let store = registry.connect(&options.store).await?;
        let chaos = Chaos::new(Arc::clone(&store));
        let tally = Tally::default();
        let sessions = SessionManager::builder(chaos.clone())
            .policy(options.policy.clone())
            .serializers(options.serializers.clone())
            .clock(clock.clone())
            .observer(tally.clone())
            .build()?;
        Ok(Self { sessions, chaos, store, tally, clock, barriers: Barriers::default() })
    }

    /// Returns the layer that the options ask for.
    pub(crate) fn layer(&self, options: &Options) -> LayerBuilder {
        let layer = SessionLayer::builder(self.sessions.clone())
            .cookie(options.cookie.clone())
            .trust_proxy(options.trust_proxy)
            .save_rule(options.save_rule.clone())
            .error_response(answer::of_layer);
        match &options.keys {
            Some(keys) => layer.signed(keys.clone()),
            None => layer,
        }
    }
}
