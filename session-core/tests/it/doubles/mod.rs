//! Handlers that are wrong in one way each, to show that the kit notices.
//!
//! A kit that passes everything would be green too. Each double leaves a gap
//! where `yield_now` lets another call in, so that it is found every time.

#![allow(clippy::unwrap_used, reason = "a double is a test, outside of its `#[test]`")]

mod expiry;
mod gc;
mod index;
mod lock;
mod touch;
mod write;

use std::time::Duration;

use session_core::testkit::{Case, cases, failures};
use session_core::{
    Bytes, GcReport, GcRequest, HandlerInfo, MemoryHandler, Result, SessionHandler, SessionIndex,
    SessionKey, SessionLister, SessionLocker, Stored, Version, WriteOptions, async_trait,
};

/// One thing done wrong, and all the rest done right.
#[async_trait]
trait Flaw: Default + std::fmt::Debug + Send + Sync + 'static {
    async fn read(&self, right: &MemoryHandler, key: &SessionKey) -> Result<Option<Stored>> {
        right.read(key).await
    }

    async fn write(
        &self,
        right: &MemoryHandler,
        key: &SessionKey,
        payload: Bytes,
        options: &WriteOptions,
    ) -> Result<Version> {
        right.write(key, payload, options).await
    }

    async fn touch(&self, right: &MemoryHandler, key: &SessionKey, idle: Duration) -> Result<bool> {
        right.touch(key, idle).await
    }

    async fn destroy(
        &self,
        right: &MemoryHandler,
        key: &SessionKey,
        only_at: Option<&Version>,
    ) -> Result<bool> {
        right.destroy(key, only_at).await
    }

    async fn gc(&self, right: &MemoryHandler, request: &GcRequest) -> Result<GcReport> {
        right.gc(request).await
    }

    fn index<'a>(&'a self, right: &'a MemoryHandler) -> Option<&'a dyn SessionIndex> {
        right.index()
    }

    fn locker<'a>(&'a self, right: &'a MemoryHandler) -> Option<&'a dyn SessionLocker> {
        right.locker()
    }
}

/// The reference implementation with a flaw.
#[derive(Debug, Default)]
struct Flawed<F> {
    flaw: F,
    right: MemoryHandler,
}

#[async_trait]
impl<F: Flaw> SessionHandler for Flawed<F> {
    fn info(&self) -> &HandlerInfo {
        self.right.info()
    }

    async fn read(&self, key: &SessionKey) -> Result<Option<Stored>> {
        self.flaw.read(&self.right, key).await
    }

    async fn write(
        &self,
        key: &SessionKey,
        payload: Bytes,
        options: &WriteOptions,
    ) -> Result<Version> {
        self.flaw.write(&self.right, key, payload, options).await
    }

    async fn touch(&self, key: &SessionKey, idle: Duration) -> Result<bool> {
        self.flaw.touch(&self.right, key, idle).await
    }

    async fn destroy(&self, key: &SessionKey, only_at: Option<&Version>) -> Result<bool> {
        self.flaw.destroy(&self.right, key, only_at).await
    }

    async fn gc(&self, request: &GcRequest) -> Result<GcReport> {
        self.flaw.gc(&self.right, request).await
    }

    fn locker(&self) -> Option<&dyn SessionLocker> {
        self.flaw.locker(&self.right)
    }

    fn lister(&self) -> Option<&dyn SessionLister> {
        self.right.lister()
    }

    fn index(&self) -> Option<&dyn SessionIndex> {
        self.flaw.index(&self.right)
    }
}

/// Expects that a double fails all of these cases.
#[track_caller]
fn fails<F: Flaw>(names: &[&'static str]) {
    let known = |name| cases().iter().find(|case| case.name() == name);
    let expected: Vec<Case> = names
        .iter()
        .map(|&name| *known(name).unwrap_or_else(|| panic!("no case {name}")))
        .collect();
    assert_eq!(failures(&expected, async || Flawed::<F>::default()), names);
}

#[derive(Debug, Default)]
struct Flawless;

impl Flaw for Flawless {}

#[test]
fn a_double_without_a_flaw_fails_no_case() {
    assert_eq!(failures(cases(), async || Flawed::<Flawless>::default()), [""; 0]);
}
