//! A connection on which answers have no address.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use session_core::{
    Bytes, GcReport, GcRequest, HandlerInfo, Result, SessionHandler, SessionKey, SessionLocker,
    Stored, Version, WriteOptions,
};

use crate::simulation::Scheduler;

type Answers = Arc<Mutex<VecDeque<Result<Option<Stored>>>>>;

/// A connection on which answers have no address: the next one that comes is
/// taken for the answer to the last question, also if the one who asked before
/// has gone away without waiting for his.
#[derive(Debug)]
pub struct Connection {
    inner: Arc<dyn SessionHandler>,
    scheduler: Scheduler,
    /// One question at a time.
    turn: tokio::sync::Mutex<()>,
    answers: Answers,
}

impl Connection {
    /// Opens a connection.
    #[must_use]
    pub fn new(inner: Arc<dyn SessionHandler>, scheduler: Scheduler) -> Self {
        Self { inner, scheduler, turn: tokio::sync::Mutex::default(), answers: Arc::default() }
    }
}

#[async_trait]
impl SessionHandler for Connection {
    fn info(&self) -> &HandlerInfo {
        self.inner.info()
    }

    async fn read(&self, key: &SessionKey) -> Result<Option<Stored>> {
        let _turn = self.turn.lock().await;
        let (inner, answers, key) = (Arc::clone(&self.inner), Arc::clone(&self.answers), *key);
        self.scheduler.add(async move {
            let answer = inner.read(&key).await;
            answers.lock().unwrap_or_else(PoisonError::into_inner).push_back(answer);
        });
        loop {
            let answer = self.answers.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            if let Some(answer) = answer {
                return answer;
            }
            self.scheduler.give_way().await;
        }
    }

    async fn write(
        &self,
        key: &SessionKey,
        payload: Bytes,
        options: &WriteOptions,
    ) -> Result<Version> {
        self.inner.write(key, payload, options).await
    }

    async fn touch(&self, key: &SessionKey, idle: Duration) -> Result<bool> {
        self.inner.touch(key, idle).await
    }

    async fn destroy(&self, key: &SessionKey, only_at: Option<&Version>) -> Result<bool> {
        self.inner.destroy(key, only_at).await
    }

    async fn gc(&self, request: &GcRequest) -> Result<GcReport> {
        self.inner.gc(request).await
    }

    fn locker(&self) -> Option<&dyn SessionLocker> {
        self.inner.locker()
    }
}
