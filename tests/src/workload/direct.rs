//! A store behind session managers, in this process.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use session_core::{
    Conflict, Error, ErrorKind, GcRequest, ManagerBuilder, Operation, Policy, Result, Session,
    SessionHandler, SessionId, SessionKey, SessionLocker, SessionManager, Status,
};

use super::subject::{Held, Life, Manner, Subject};
use crate::history::Data;

/// The names under which [`Data`] is kept; items have one each.
const TAG: &str = "tag";
const WRITES: &str = "writes";
const VALUE: &str = "value";
const COUNTER: &str = "counter";
const ITEM: &str = "item.";

/// A store behind session managers: one for each [`Manner`].
#[derive(Clone, Debug)]
pub struct Direct {
    deadline: Duration,
    merge: SessionManager,
    strict: SessionManager,
    brief: SessionManager,
}

impl Direct {
    /// Uses a store. No call to it takes longer than `deadline`.
    #[must_use]
    pub fn new(handler: impl SessionHandler, deadline: Duration) -> Self {
        let handler: Arc<dyn SessionHandler> = Arc::new(handler);
        Self::with(&handler, deadline, |builder| builder)
    }

    /// Uses a store with managers that have more to them.
    ///
    /// # Panics
    ///
    /// If what they have is impossible.
    #[must_use]
    pub fn with(
        handler: &Arc<dyn SessionHandler>,
        deadline: Duration,
        equip: impl Fn(ManagerBuilder) -> ManagerBuilder,
    ) -> Self {
        let manager = |conflict, idle| {
            let mut policy = Policy::default();
            policy.conflict = conflict;
            policy.idle = idle;
            policy.deadline = deadline;
            let builder = SessionManager::builder(Arc::clone(handler)).policy(policy);
            equip(builder).build().expect("the policy is sound")
        };
        Self {
            deadline,
            merge: manager(Conflict::Merge, Life::IDLE),
            strict: manager(Conflict::Strict, Life::IDLE),
            brief: manager(Conflict::Merge, Life::BRIEF),
        }
    }

    /// Returns the store.
    #[must_use]
    pub fn handler(&self) -> &Arc<dyn SessionHandler> {
        self.merge.handler()
    }

    /// Stores a copy of a session, with one write more, under an id of its own.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub async fn restore(&self, data: &Data) -> Result<SessionId> {
        let session = self.merge.create();
        session.put([(TAG, data.tag), (WRITES, data.writes + 1), (VALUE, data.value)])?;
        session.set(COUNTER, data.counter)?;
        session.put(data.items.iter().map(|item| (format!("{ITEM}{item}"), true)))?;
        session.save().await?;
        Ok(session.id().expect("what was saved has an id"))
    }

    /// Makes a call to the store itself, which has no deadline of its own.
    async fn within<T>(
        &self,
        operation: Operation,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let runtime = self.merge.runtime().expect("there is a runtime");
        let mut sleep = runtime.sleep(self.deadline);
        let mut call = pin!(call);
        poll_fn(|cx| match call.as_mut().poll(cx) {
            Poll::Pending => sleep
                .as_mut()
                .poll(cx)
                .map(|()| Err(Error::new(ErrorKind::Timeout, operation, "no answer in time"))),
            ready => ready,
        })
        .await
    }

    const fn manager(&self, manner: Manner) -> &SessionManager {
        match manner {
            Manner::Merge => &self.merge,
            Manner::Strict => &self.strict,
            Manner::Brief => &self.brief,
        }
    }
}

#[async_trait]
impl Subject for Direct {
    async fn create(&self, tag: u64, life: Life) -> Result<SessionId> {
        let session = self.merge.create();
        session.set(TAG, tag)?;
        session.increment(WRITES, 1)?;
        if life.idle.is_some() {
            session.set_idle(life.idle)?;
        }
        if life.absolute.is_some() {
            session.set_absolute(life.absolute)?;
        }
        session.save().await?;
        Ok(session.id().expect("what was saved has an id"))
    }

    async fn load(&self, id: &SessionId, manner: Manner) -> Result<Option<Box<dyn Held>>> {
        let session = self.manager(manner).load(id).await?;
        if session.status() != Status::Loaded {
            return Ok(None);
        }
        let data = data(&session)?;
        Ok(Some(Box::new(Loaded { session, data })))
    }

    async fn logout(&self, id: &SessionId) -> Result<()> {
        let session = self.merge.load(id).await?;
        session.destroy()?;
        session.save().await
    }

    async fn look(&self, id: &SessionId) -> Result<Option<Option<Duration>>> {
        let key = SessionKey::of(id);
        let stored = self.within(Operation::Read, self.handler().read(&key)).await?;
        Ok(stored.map(|stored| stored.remaining))
    }

    async fn present(&self, text: &str) -> Result<Option<Data>> {
        let id = match SessionId::parse(text) {
            Ok(id) => id,
            Err(err) if err.kind() == ErrorKind::InvalidId => return Ok(None),
            Err(err) => return Err(err),
        };
        Ok(self.load(&id, Manner::Merge).await?.map(|held| held.data()))
    }

    async fn collect(&self) -> Result<()> {
        let request = GcRequest::default();
        self.within(Operation::Gc, self.handler().gc(&request)).await.map(drop)
    }

    fn locker(&self) -> Option<&dyn SessionLocker> {
        self.handler().locker()
    }
}

/// Reads what a session holds.
fn data(session: &Session) -> Result<Data> {
    let number = |name: &str| Ok(session.get::<u64>(name)?.unwrap_or(0));
    let items = session.keys()?;
    let items = items.iter().filter_map(|name| name.strip_prefix(ITEM)?.parse().ok());
    let mut items: Vec<_> = items.collect();
    items.sort_unstable();
    Ok(Data {
        tag: number(TAG)?,
        writes: number(WRITES)?,
        value: number(VALUE)?,
        items,
        counter: number(COUNTER)?,
    })
}

/// A session that was loaded here.
struct Loaded {
    session: Session,
    data: Data,
}

impl Loaded {
    async fn write(&mut self) -> Result<()> {
        self.session.increment(WRITES, 1)?;
        self.session.save().await?;
        self.data = data(&self.session)?;
        Ok(())
    }
}

#[async_trait]
impl Held for Loaded {
    fn id(&self) -> Option<SessionId> {
        self.session.id()
    }

    fn data(&self) -> Data {
        self.data.clone()
    }

    async fn save(&mut self, value: u64) -> Result<()> {
        self.session.set(VALUE, value)?;
        self.write().await
    }

    async fn merge(&mut self, item: u64) -> Result<()> {
        self.session.set(&format!("{ITEM}{item}"), true)?;
        self.write().await
    }

    async fn increment(&mut self) -> Result<()> {
        self.session.increment(COUNTER, 1)?;
        self.write().await
    }

    async fn touch(&mut self) -> Result<bool> {
        self.session.refresh().await
    }

    async fn regenerate(&mut self) -> Result<()> {
        self.session.regenerate()?;
        self.write().await
    }

    async fn destroy(&mut self) -> Result<()> {
        self.session.destroy()?;
        self.session.save().await
    }

    async fn again(&mut self) -> Option<Result<()>> {
        let saved = self.session.save().await;
        if saved.is_ok() {
            self.data = data(&self.session).unwrap_or_default();
        }
        Some(saved)
    }
}
