//! An application that uses sessions carelessly.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use session_core::{ErrorKind, Result, SessionId, SessionLocker};

use crate::history::Data;
use crate::simulation::Scheduler;
use crate::workload::{Direct, Held, Life, Manner, Subject};

/// What the application does wrong. See [`Mutant`](super::Mutant).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the mutants of the same names say it")]
pub enum Carelessness {
    SaveUnderNewId,
    DeleteBeforeCreate,
    ErrorIsEmpty,
    FoldsCase,
}

/// An application that uses sessions carelessly.
#[derive(Clone, Debug)]
pub struct Careless {
    direct: Direct,
    carelessness: Carelessness,
    scheduler: Scheduler,
}

impl Careless {
    /// Makes such an application.
    #[must_use]
    pub const fn new(direct: Direct, carelessness: Carelessness, scheduler: Scheduler) -> Self {
        Self { direct, carelessness, scheduler }
    }
}

#[async_trait]
impl Subject for Careless {
    async fn create(&self, tag: u64, life: Life) -> Result<SessionId> {
        self.direct.create(tag, life).await
    }

    async fn load(&self, id: &SessionId, manner: Manner) -> Result<Option<Box<dyn Held>>> {
        let inner = match self.direct.load(id, manner).await {
            Ok(Some(inner)) => inner,
            Err(_) if self.carelessness == Carelessness::ErrorIsEmpty => return Ok(None),
            other => return other,
        };
        let renamed = None;
        Ok(Some(Box::new(CarelesslyHeld { inner, renamed, owner: Arc::new(self.clone()) })))
    }

    async fn logout(&self, id: &SessionId) -> Result<()> {
        self.direct.logout(id).await
    }

    async fn look(&self, id: &SessionId) -> Result<Option<Option<Duration>>> {
        self.direct.look(id).await
    }

    async fn present(&self, text: &str) -> Result<Option<Data>> {
        if self.carelessness == Carelessness::FoldsCase {
            return self.direct.present(text.to_ascii_lowercase().trim_end()).await;
        }
        self.direct.present(text).await
    }

    async fn collect(&self) -> Result<()> {
        self.direct.collect().await
    }

    fn locker(&self) -> Option<&dyn SessionLocker> {
        self.direct.locker()
    }
}

struct CarelesslyHeld {
    inner: Box<dyn Held>,
    owner: Arc<Careless>,
    /// The id of the copy that was stored instead.
    renamed: Option<SessionId>,
}

impl CarelesslyHeld {
    /// Stores a copy under a new id, if the session has ended.
    async fn or_copy(&mut self, saved: Result<()>, data: &Data) -> Result<()> {
        match saved {
            Err(err)
                if err.kind() == ErrorKind::Gone
                    && self.owner.carelessness == Carelessness::SaveUnderNewId =>
            {
                self.renamed = Some(self.owner.direct.restore(data).await?);
                Ok(())
            }
            saved => saved,
        }
    }
}

#[async_trait]
impl Held for CarelesslyHeld {
    fn id(&self) -> Option<SessionId> {
        self.renamed.clone().or_else(|| self.inner.id())
    }

    fn data(&self) -> Data {
        self.inner.data()
    }

    async fn save(&mut self, value: u64) -> Result<()> {
        let data = Data { value, ..self.inner.data() };
        let saved = self.inner.save(value).await;
        self.or_copy(saved, &data).await
    }

    async fn merge(&mut self, item: u64) -> Result<()> {
        let mut data = self.inner.data();
        data.items.push(item);
        let saved = self.inner.merge(item).await;
        self.or_copy(saved, &data).await
    }

    async fn increment(&mut self) -> Result<()> {
        let data = self.inner.data();
        let data = Data { counter: data.counter + 1, ..data };
        let saved = self.inner.increment().await;
        self.or_copy(saved, &data).await
    }

    async fn touch(&mut self) -> Result<bool> {
        self.inner.touch().await
    }

    async fn regenerate(&mut self) -> Result<()> {
        if self.owner.carelessness != Carelessness::DeleteBeforeCreate {
            return self.inner.regenerate().await;
        }
        let data = self.inner.data();
        self.inner.destroy().await?;
        self.owner.scheduler.give_way().await;
        self.renamed = Some(self.owner.direct.restore(&data).await?);
        Ok(())
    }

    async fn destroy(&mut self) -> Result<()> {
        self.inner.destroy().await
    }

    async fn again(&mut self) -> Option<Result<()>> {
        None
    }
}
