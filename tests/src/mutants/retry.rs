//! A client that does again what may have happened.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use session_core::{
    Bytes, GcReport, GcRequest, HandlerInfo, Result, SessionHandler, SessionKey, SessionLocker,
    Stored, Version, WriteMode, WriteOptions,
};

/// A client that does again what may have happened, and that without regard to
/// what was written meanwhile.
#[derive(Debug)]
pub struct Retry(pub Arc<dyn SessionHandler>);

#[async_trait]
impl SessionHandler for Retry {
    fn info(&self) -> &HandlerInfo {
        self.0.info()
    }

    async fn read(&self, key: &SessionKey) -> Result<Option<Stored>> {
        self.0.read(key).await
    }

    async fn write(
        &self,
        key: &SessionKey,
        payload: Bytes,
        options: &WriteOptions,
    ) -> Result<Version> {
        match self.0.write(key, payload.clone(), options).await {
            Err(err) if err.is_indeterminate() && options.mode != WriteMode::Create => {
                let mut again = options.clone();
                again.mode = WriteMode::Replace;
                self.0.write(key, payload, &again).await
            }
            done => done,
        }
    }

    async fn touch(&self, key: &SessionKey, idle: Duration) -> Result<bool> {
        self.0.touch(key, idle).await
    }

    async fn destroy(&self, key: &SessionKey, only_at: Option<&Version>) -> Result<bool> {
        self.0.destroy(key, only_at).await
    }

    async fn gc(&self, request: &GcRequest) -> Result<GcReport> {
        self.0.gc(request).await
    }

    fn locker(&self) -> Option<&dyn SessionLocker> {
        self.0.locker()
    }
}
