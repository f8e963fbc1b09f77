//! An engine that would be a crate of its own. It needs session-core and nothing
//! else of ours.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use session_core::{
    Bytes, Error, ErrorKind, GcReport, GcRequest, HandlerFactory, HandlerInfo, Operation, Result,
    SessionHandler, SessionKey, StoreUri, Stored, Version, WriteMode, WriteOptions, async_trait,
};

/// Keeps sessions in a map. For one process, and gone when it ends.
pub(crate) struct MySessionHandler {
    info: HandlerInfo,
    records: Mutex<HashMap<SessionKey, Record>>,
    /// Numbers all writes, so that no version ever comes back.
    writes: AtomicU64,
}

struct Record {
    payload: Bytes,
    version: Version,
    expires: Instant,
    absolute: Instant,
    pointer: bool,
}

impl Record {
    fn lives(&self) -> bool {
        Instant::now() < self.expires
    }
}

/// A century: as good as never, and far from overflow.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

impl MySessionHandler {
    pub(crate) fn new(config: &MyConfig) -> Self {
        println!("my handler at {}", config.host);
        let info = HandlerInfo::new("my");
        Self { info, records: Mutex::default(), writes: AtomicU64::new(0) }
    }

    fn records(&self) -> MutexGuard<'_, HashMap<SessionKey, Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refused<T>(kind: ErrorKind, operation: Operation, message: &'static str) -> Result<T> {
    Err(Error::new(kind, operation, message).with_backend("my"))
}

#[async_trait]
impl SessionHandler for MySessionHandler {
    fn info(&self) -> &HandlerInfo {
        &self.info
    }

    async fn read(&self, key: &SessionKey) -> Result<Option<Stored>> {
        let records = self.records();
        Ok(records.get(key).filter(|record| record.lives()).map(|record| {
            let left = record.expires.saturating_duration_since(Instant::now());
            Stored::new(record.payload.clone(), record.version.clone()).with_remaining(left)
        }))
    }

    async fn write(
        &self,
        key: &SessionKey,
        payload: Bytes,
        options: &WriteOptions,
    ) -> Result<Version> {
        let mut records = self.records();
        let live = records.get(key).filter(|record| record.lives());
        match (live, &options.mode) {
            (None, WriteMode::Create) | (Some(_), WriteMode::Replace) => {}
            (Some(_), WriteMode::Create) => {
                return refused(ErrorKind::AlreadyExists, Operation::Create, "the key is taken");
            }
            (None, WriteMode::Replace | WriteMode::IfVersion(_)) => {
                return refused(ErrorKind::Gone, Operation::Write, "the session has ended");
            }
            (Some(record), WriteMode::IfVersion(seen)) => {
                if record.version != *seen {
                    let message = "another writer came first";
                    return refused(ErrorKind::Conflict, Operation::Write, message);
                }
            }
        }
        let now = Instant::now();
        let version = Version::counter(self.writes.fetch_add(1, Ordering::Relaxed));
        let record = Record {
            payload,
            version: version.clone(),
            expires: now + options.lifetime().min(NEVER),
            absolute: now + options.absolute.unwrap_or(NEVER).min(NEVER),
            pointer: options.pointer,
        };
        records.insert(*key, record);
        Ok(version)
    }

    async fn touch(&self, key: &SessionKey, idle: Duration) -> Result<bool> {
        let mut records = self.records();
        let session = |record: &&mut Record| record.lives() && !record.pointer;
        let Some(record) = records.get_mut(key).filter(session) else {
            return Ok(false);
        };
        let later = (Instant::now() + idle.min(NEVER)).min(record.absolute);
        record.expires = record.expires.max(later);
        Ok(true)
    }

    async fn destroy(&self, key: &SessionKey, only_at: Option<&Version>) -> Result<bool> {
        let mut records = self.records();
        let live = records.get(key).filter(|record| record.lives());
        if let (Some(record), Some(seen)) = (live, only_at)
            && record.version != *seen
        {
            let message = "another writer came first";
            return refused(ErrorKind::Conflict, Operation::Destroy, message);
        }
        Ok(records.remove(key).is_some_and(|record| record.lives()))
    }

    async fn gc(&self, request: &GcRequest) -> Result<GcReport> {
        let mut records = self.records();
        let expired = records.iter().filter(|(_, record)| !record.lives());
        let keys: Vec<_> = expired.map(|(key, _)| *key).take(request.limit).collect();
        let mut report = GcReport::default();
        for key in &keys {
            records.remove(key);
        }
        report.removed = keys.len() as u64;
        report.scanned = report.removed;
        report.more = keys.len() == request.limit;
        Ok(report)
    }
}

impl fmt::Debug for MySessionHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MySessionHandler").finish_non_exhaustive()
    }
}

/// The options of `my:` URIs.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MyConfig {
    host: String,
}

impl Default for MyConfig {
    fn default() -> Self {
        Self { host: "localhost".into() }
    }
}

/// Makes handlers from `my:` URIs.
#[derive(Debug)]
pub(crate) struct MyFactory;

#[async_trait]
impl HandlerFactory for MyFactory {
    fn schemes(&self) -> &[&'static str] {
        &["my"]
    }

    async fn build(&self, uri: &StoreUri) -> Result<Arc<dyn SessionHandler>> {
        Ok(Arc::new(MySessionHandler::new(&uri.options()?)))
    }
}
