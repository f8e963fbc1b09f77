//! A store behind a network that does all that networks do.

use std::future::{Future, pending};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use session_core::{
    Bytes, Error, ErrorKind, GcReport, GcRequest, HandlerInfo, Operation, Result, SessionHandler,
    SessionKey, SessionLocker, Stored, Version, WriteMode, WriteOptions,
};

use super::Scheduler;

/// How often calls go wrong, each of 1,000.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// The call never gets there, and the caller is told so.
    pub refused: u32,
    /// The call happens and its answer is lost.
    pub lost: u32,
    /// The caller is told that there is no answer, and the call happens later.
    pub late: u32,
    /// The call happens or not, and nobody is ever told.
    pub silent: u32,
}

impl Weather {
    /// Nothing goes wrong.
    pub const FAIR: Self = Self { refused: 0, lost: 0, late: 0, silent: 0 };
    /// About one call in six goes wrong.
    pub const STORM: Self = Self { refused: 50, lost: 50, late: 40, silent: 20 };
}

/// A store behind a network. Clones are the same.
#[derive(Clone, Debug)]
pub struct Network {
    inner: Arc<dyn SessionHandler>,
    scheduler: Scheduler,
    weather: Arc<[AtomicU64; 4]>,
    faults: Arc<AtomicU64>,
}

impl Network {
    /// Puts a store behind a network.
    #[must_use]
    pub fn new(store: Arc<dyn SessionHandler>, scheduler: &Scheduler, weather: Weather) -> Self {
        let network = Self {
            inner: store,
            scheduler: scheduler.clone(),
            weather: Arc::default(),
            faults: Arc::default(),
        };
        network.set(weather);
        network
    }

    /// Changes the weather.
    pub fn set(&self, weather: Weather) {
        let Weather { refused, lost, late, silent } = weather;
        for (slot, value) in self.weather.iter().zip([refused, lost, late, silent]) {
            slot.store(u64::from(value), Ordering::Relaxed);
        }
    }

    /// Returns how many calls have gone wrong.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.faults.load(Ordering::Relaxed)
    }

    async fn travel(&self) {
        for _ in 0..self.scheduler.draw(3) {
            self.scheduler.give_way().await;
        }
    }

    /// Makes a call. `work` is done at one moment, or at none.
    async fn call<T: Send + 'static>(
        &self,
        operation: Operation,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let mut drawn = u64::from(self.scheduler.draw(1000));
        let fate = self.weather.iter().position(|chance| {
            let chance = chance.load(Ordering::Relaxed);
            let hit = drawn < chance;
            drawn = drawn.wrapping_sub(chance);
            hit
        });
        self.faults.fetch_add(u64::from(fate.is_some()), Ordering::Relaxed);
        let error = |kind, message: &'static str| {
            Err(Error::new(kind, operation, message).with_backend("network"))
        };
        self.travel().await;
        match fate {
            Some(0) => error(ErrorKind::Unavailable, "refused"),
            Some(1) => {
                drop(work.await);
                self.travel().await;
                let lost = error(ErrorKind::Unavailable, "the answer was lost");
                lost.map_err(|err| err.with_indeterminate(true))
            }
            Some(2) => {
                let network = self.clone();
                self.scheduler.add(async move {
                    for _ in 0..network.scheduler.draw(12) {
                        network.travel().await;
                    }
                    drop(work.await);
                });
                self.travel().await;
                error(ErrorKind::Timeout, "no answer")
            }
            Some(_) => {
                if self.scheduler.draw(2) == 0 {
                    drop(work.await);
                }
                pending().await
            }
            None => {
                let answer = work.await;
                self.travel().await;
                answer
            }
        }
    }
}

#[async_trait]
impl SessionHandler for Network {
    fn info(&self) -> &HandlerInfo {
        self.inner.info()
    }

    async fn read(&self, key: &SessionKey) -> Result<Option<Stored>> {
        let (inner, key) = (Arc::clone(&self.inner), *key);
        self.call(Operation::Read, async move { inner.read(&key).await }).await
    }

    async fn write(
        &self,
        key: &SessionKey,
        payload: Bytes,
        options: &WriteOptions,
    ) -> Result<Version> {
        let (inner, key, options) = (Arc::clone(&self.inner), *key, options.clone());
        let create = options.mode == WriteMode::Create;
        let operation = if create { Operation::Create } else { Operation::Write };
        self.call(operation, async move { inner.write(&key, payload, &options).await }).await
    }

    async fn touch(&self, key: &SessionKey, idle: Duration) -> Result<bool> {
        let (inner, key) = (Arc::clone(&self.inner), *key);
        self.call(Operation::Touch, async move { inner.touch(&key, idle).await }).await
    }

    async fn destroy(&self, key: &SessionKey, only_at: Option<&Version>) -> Result<bool> {
        let (inner, key, only_at) = (Arc::clone(&self.inner), *key, only_at.cloned());
        self.call(Operation::Destroy, async move { inner.destroy(&key, only_at.as_ref()).await })
            .await
    }

    async fn gc(&self, request: &GcRequest) -> Result<GcReport> {
        let (inner, request) = (Arc::clone(&self.inner), request.clone());
        self.call(Operation::Gc, async move { inner.gc(&request).await }).await
    }

    fn locker(&self) -> Option<&dyn SessionLocker> {
        self.inner.locker()
    }
}
