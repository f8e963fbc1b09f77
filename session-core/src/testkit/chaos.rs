//! A wrapper that makes any handler fail, stall and count.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Semaphore;

use crate::{
    Bytes, Error, ErrorKind, FencingToken, GcReport, GcRequest, HandlerInfo, Operation, Owner,
    Page, PageRequest, Result, SessionHandler, SessionIndex, SessionKey, SessionLister,
    SessionLocker, Stored, Version, WriteMode, WriteOptions,
};

/// Wraps a handler, makes its calls fail or stall, and counts them.
///
/// Faults are per [`Operation`]; a write counts as `Create` or `Write` by its
/// mode, and capabilities as `Lock`, `List` and `Index`. Clones share everything.
///
/// ```
/// use session_core::testkit::Chaos;
/// use session_core::{ErrorKind, MemoryHandler, Operation, SessionHandler, SessionKey};
///
/// # async fn example() -> session_core::Result<()> {
/// let chaos = Chaos::new(MemoryHandler::new());
/// let key = SessionKey::from_bytes([7; 32]);
///
/// chaos.fail(Operation::Read, ErrorKind::Unavailable);
/// assert!(chaos.read(&key).await.is_err());
///
/// chaos.heal();
/// assert!(chaos.read(&key).await?.is_none());
/// assert_eq!(chaos.counts().reads, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Chaos {
    inner: Arc<dyn SessionHandler>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    faults: HashMap<Operation, Fault>,
    counts: Counts,
}

/// What happens to the calls of one operation.
#[derive(Clone, Debug, Default)]
struct Fault {
    hold: Option<Arc<Gate>>,
    delay: Duration,
    fail: Option<ErrorKind>,
    once: bool,
    hold_reply: Option<Arc<Gate>>,
    lose_reply: bool,
}

/// How often each operation was called, whatever came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls of `read`.
    pub reads: u64,
    /// Calls of `write` with [`WriteMode::Create`].
    pub creates: u64,
    /// Calls of `write` with any other mode.
    pub writes: u64,
    /// Calls of `touch`.
    pub touches: u64,
    /// Calls of `destroy`.
    pub destroys: u64,
    /// Calls of `gc`.
    pub gcs: u64,
    /// Bytes of all payloads given to `write`.
    pub bytes_written: u64,
}

impl Chaos {
    /// Wraps a handler. Until told otherwise, all calls go through.
    #[must_use]
    pub fn new(handler: impl SessionHandler) -> Self {
        Self { inner: Arc::new(handler), state: Arc::default() }
    }

    /// Lets every call fail before it reaches the store.
    pub fn fail(&self, operation: Operation, kind: ErrorKind) {
        self.change(operation, |fault| (fault.fail, fault.once) = (Some(kind), false));
    }

    /// Lets the next call fail before it reaches the store, and no other.
    pub fn fail_once(&self, operation: Operation, kind: ErrorKind) {
        self.change(operation, |fault| (fault.fail, fault.once) = (Some(kind), true));
    }

    /// Lets every call wait before it reaches the store.
    pub fn delay(&self, operation: Operation, delay: Duration) {
        self.change(operation, |fault| fault.delay = delay);
    }

    /// Lets every call happen and lose its reply: the caller gets
    /// [`ErrorKind::Unavailable`], indeterminate.
    pub fn lose_reply(&self, operation: Operation) {
        self.change(operation, |fault| fault.lose_reply = true);
    }

    /// Stops every call before it reaches the store, until the hold is released.
    #[must_use = "dropping the hold releases it"]
    pub fn hold(&self, operation: Operation) -> Hold {
        let gate = Arc::new(Gate::new());
        self.change(operation, |fault| fault.hold = Some(Arc::clone(&gate)));
        Hold(gate)
    }

    /// Lets every call happen and keeps back its reply, until the hold is released.
    #[must_use = "dropping the hold releases it"]
    pub fn hold_reply(&self, operation: Operation) -> Hold {
        let gate = Arc::new(Gate::new());
        self.change(operation, |fault| fault.hold_reply = Some(Arc::clone(&gate)));
        Hold(gate)
    }

    /// Ends all faults and releases all holds.
    pub fn heal(&self) {
        for fault in std::mem::take(&mut self.state().faults).into_values() {
            fault.hold.iter().chain(&fault.hold_reply).for_each(|gate| gate.open());
        }
    }

    /// Returns how often each operation was called.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.state().counts
    }

    /// Returns how often each operation was called, and begins again at zero.
    #[expect(clippy::must_use_candidate, reason = "also called to begin again at zero")]
    pub fn take_counts(&self) -> Counts {
        std::mem::take(&mut self.state().counts)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, operation: Operation, change: impl FnOnce(&mut Fault)) {
        change(self.state().faults.entry(operation).or_default());
    }

    fn count(&self, count: impl FnOnce(&mut Counts)) {
        count(&mut self.state().counts);
    }

    /// Takes what happens to the present call.
    fn fault(&self, operation: Operation) -> Fault {
        let mut state = self.state();
        let Some(fault) = state.faults.get_mut(&operation) else { return Fault::default() };
        let now = fault.clone();
        if fault.once {
            fault.fail = None;
        }
        now
    }

    async fn call<T>(
        &self,
        operation: Operation,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let fault = self.fault(operation);
        if let Some(gate) = &fault.hold {
            gate.pass().await;
        }
        if !fault.delay.is_zero() {
            tokio::time::sleep(fault.delay).await;
        }
        if let Some(kind) = fault.fail {
            return Err(Error::new(kind, operation, "injected by a test").with_backend("chaos"));
        }
        let reply = work.await;
        if let Some(gate) = &fault.hold_reply {
            gate.pass().await;
        }
        if fault.lose_reply {
            let message = "the reply was lost by a test";
            return Err(Error::new(ErrorKind::Unavailable, operation, message)
                .with_backend("chaos")
                .with_indeterminate(true));
        }
        reply
    }
}

/// Keeps calls waiting until it is released or dropped.
#[derive(Debug)]
pub struct Hold(Arc<Gate>);

impl Hold {
    /// Waits until one more call has arrived at the hold.
    pub async fn reached(&self) {
        if let Ok(permit) = self.0.arrived.acquire().await {
            permit.forget();
        }
    }

    /// Lets all calls go on, present and future ones.
    pub fn release(&self) {
        self.0.open();
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.release();
    }
}

#[derive(Debug)]
struct Gate {
    /// One permit per call that has arrived.
    arrived: Semaphore,
    /// Never has a permit; closing it lets everyone pass.
    barrier: Semaphore,
}

impl Gate {
    fn new() -> Self {
        Self { arrived: Semaphore::new(0), barrier: Semaphore::new(0) }
    }

    async fn pass(&self) {
        self.arrived.add_permits(1);
        // An error is what closing the barrier gives to those who wait.
        let _ = self.barrier.acquire().await;
    }

    fn open(&self) {
        self.barrier.close();
    }
}

#[async_trait]
impl SessionHandler for Chaos {
    fn info(&self) -> &HandlerInfo {
        self.inner.info()
    }

    async fn open(&self) -> Result<()> {
        self.call(Operation::Open, self.inner.open()).await
    }

    async fn read(&self, key: &SessionKey) -> Result<Option<Stored>> {
        self.count(|counts| counts.reads += 1);
        self.call(Operation::Read, self.inner.read(key)).await
    }

    async fn write(
        &self,
        key: &SessionKey,
        payload: Bytes,
        options: &WriteOptions,
    ) -> Result<Version> {
        let create = options.mode == WriteMode::Create;
        self.count(|counts| {
            *(if create { &mut counts.creates } else { &mut counts.writes }) += 1;
            counts.bytes_written += payload.len() as u64;
        });
        let operation = if create { Operation::Create } else { Operation::Write };
        self.call(operation, self.inner.write(key, payload, options)).await
    }

    async fn touch(&self, key: &SessionKey, idle: Duration) -> Result<bool> {
        self.count(|counts| counts.touches += 1);
        self.call(Operation::Touch, self.inner.touch(key, idle)).await
    }

    async fn destroy(&self, key: &SessionKey, only_at: Option<&Version>) -> Result<bool> {
        self.count(|counts| counts.destroys += 1);
        self.call(Operation::Destroy, self.inner.destroy(key, only_at)).await
    }

    async fn gc(&self, request: &GcRequest) -> Result<GcReport> {
        self.count(|counts| counts.gcs += 1);
        self.call(Operation::Gc, self.inner.gc(request)).await
    }

    async fn close(&self) -> Result<()> {
        self.call(Operation::Close, self.inner.close()).await
    }

    fn locker(&self) -> Option<&dyn SessionLocker> {
        self.inner.locker().map(|_| self as _)
    }

    fn lister(&self) -> Option<&dyn SessionLister> {
        self.inner.lister().map(|_| self as _)
    }

    fn index(&self) -> Option<&dyn SessionIndex> {
        self.inner.index().map(|_| self as _)
    }
}

/// Makes the error of a capability that the handler has not got.
fn missing(operation: Operation) -> Error {
    Error::new(ErrorKind::Unsupported, operation, "the handler under test cannot do this")
        .with_backend("chaos")
}

#[async_trait]
impl SessionLocker for Chaos {
    async fn try_lock(&self, key: &SessionKey, lease: Duration) -> Result<Option<FencingToken>> {
        let locker = self.inner.locker().ok_or_else(|| missing(Operation::Lock))?;
        self.call(Operation::Lock, locker.try_lock(key, lease)).await
    }

    async fn renew(&self, key: &SessionKey, token: FencingToken, lease: Duration) -> Result<bool> {
        let locker = self.inner.locker().ok_or_else(|| missing(Operation::Lock))?;
        self.call(Operation::Lock, locker.renew(key, token, lease)).await
    }

    async fn unlock(&self, key: &SessionKey, token: FencingToken) -> Result<bool> {
        let locker = self.inner.locker().ok_or_else(|| missing(Operation::Lock))?;
        self.call(Operation::Lock, locker.unlock(key, token)).await
    }
}

#[async_trait]
impl SessionLister for Chaos {
    async fn list(&self, request: &PageRequest) -> Result<Page> {
        let lister = self.inner.lister().ok_or_else(|| missing(Operation::List))?;
        self.call(Operation::List, lister.list(request)).await
    }

    async fn count(&self) -> Result<u64> {
        let lister = self.inner.lister().ok_or_else(|| missing(Operation::List))?;
        self.call(Operation::List, lister.count()).await
    }
}

#[async_trait]
impl SessionIndex for Chaos {
    async fn sessions(&self, owner: &Owner, request: &PageRequest) -> Result<Page> {
        let index = self.inner.index().ok_or_else(|| missing(Operation::Index))?;
        self.call(Operation::Index, index.sessions(owner, request)).await
    }

    async fn revoke(&self, owner: &Owner, except: Option<&SessionKey>) -> Result<u64> {
        let index = self.inner.index().ok_or_else(|| missing(Operation::Index))?;
        self.call(Operation::Index, index.revoke(owner, except)).await
    }

    async fn cap(&self, owner: &Owner, max: usize, keep: &SessionKey) -> Result<u64> {
        let index = self.inner.index().ok_or_else(|| missing(Operation::Index))?;
        self.call(Operation::Index, index.cap(owner, max, keep)).await
    }
}
