//! The interface between sessions and the places that keep them.

mod gc;
mod info;
mod version;
mod write;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

pub use self::gc::{GcReport, GcRequest};
pub use self::info::HandlerInfo;
pub use self::version::Version;
pub use self::write::{WriteMode, WriteOptions};
use crate::{Result, SessionIndex, SessionKey, SessionLister, SessionLocker};

/// A place where sessions are kept.
///
/// The classic calls of PHP's `SessionHandlerInterface` (`open`, `read`,
/// `write`, `destroy`, `gc`, `close`) and [`touch`](Self::touch). Payloads are
/// opaque: handlers never look inside and never (de)serialize.
///
/// # Contract
///
/// Every handler keeps these promises; the feature `testkit` checks them.
///
/// 1. **Atomic.** Each call is one atomic step. A reader sees a whole payload or none.
/// 2. **Expiry is exact on read.** [`read`](Self::read) returns `None` from the
///    moment the lifetime is over, whether or not the bytes are still there,
///    and by then [`write`](Self::write) and [`touch`](Self::touch) refuse too.
/// 3. **No resurrection.** After [`destroy`](Self::destroy) or expiry nothing but
///    [`WriteMode::Create`] puts a record under the key. There is no upsert.
/// 4. **Absence is not an error.** A missing session is `None` or `false`; only
///    a refused write is an error.
/// 5. **A lifetime never shrinks by a touch** and never passes the absolute
///    deadline that the last write set.
/// 6. **Cancel-safe.** Dropping a returned future leaves either the old or the
///    new state, and no lock or connection that another call could trip over.
/// 7. **Exact keys.** Two keys match if all their bytes do.
/// 8. **Pointers do not count.** A record written with
///    [`WriteOptions::pointer`] is read, written and destroyed like any other,
///    is not extended by [`touch`](Self::touch), which says `false`, and is left
///    out of lists, counts and the index.
///
/// # Errors
///
/// An error that does not say [`is_indeterminate`](crate::Error::is_indeterminate)
/// promises that nothing happened. Messages hold no key, payload or credential.
///
/// # For implementors
///
/// No method that writes has a default body, and [`WriteMode`] is exhaustive, so
/// a wrapper that compiles has decided about each. Forward the accessors
/// ([`locker`](Self::locker), [`lister`](Self::lister), [`index`](Self::index)) in wrappers.
/// `MemoryHandler` is the reference implementation.
#[async_trait]
pub trait SessionHandler: fmt::Debug + Send + Sync + 'static {
    /// Returns what is fixed about this handler.
    fn info(&self) -> &HandlerInfo;

    /// Connects and checks that the store is usable. Calling it twice is fine.
    async fn open(&self) -> Result<()> {
        Ok(())
    }

    /// Reads a live session. `None` if there is none, or it has expired.
    #[doc(alias = "find")]
    async fn read(&self, key: &SessionKey) -> Result<Option<Stored>>;

    /// Stores `payload` and restarts the lifetime, if `options.mode` allows it.
    ///
    /// Returns the version that is stored now.
    ///
    /// # Errors
    ///
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists),
    /// [`Gone`](crate::ErrorKind::Gone), [`Conflict`](crate::ErrorKind::Conflict) or
    /// [`Locked`](crate::ErrorKind::Locked) as the options say; then nothing is written.
    async fn write(
        &self,
        key: &SessionKey,
        payload: Bytes,
        options: &WriteOptions,
    ) -> Result<Version>;

    /// Extends the lifetime to `idle` from now without touching payload or version.
    ///
    /// A record that already lives longer stays as it is. Returns `false` if
    /// there is no such session, or only a [pointer](WriteOptions::pointer) to
    /// where it has moved, and then changes nothing.
    #[doc(alias = "updateTimestamp")]
    async fn touch(&self, key: &SessionKey, idle: Duration) -> Result<bool>;

    /// Removes a session. Returns `true` if there was a live one, `false` if not.
    ///
    /// With `only_at`, removes it only if nobody wrote since that version. This
    /// is how a logout notices that the session has just moved to another id.
    /// Needs no room in the store: it works when the store is full.
    ///
    /// # Errors
    ///
    /// [`Conflict`](crate::ErrorKind::Conflict) if the record lives at another
    /// version than `only_at`; then nothing is removed.
    #[doc(alias = "delete")]
    async fn destroy(&self, key: &SessionKey, only_at: Option<&Version>) -> Result<bool>;

    /// Removes expired records in one bounded step; never a live one.
    async fn gc(&self, request: &GcRequest) -> Result<GcReport>;

    /// Releases connections. Further calls may fail.
    async fn close(&self) -> Result<()> {
        Ok(())
    }

    /// Returns the ability to lock sessions, if the store has it.
    fn locker(&self) -> Option<&dyn SessionLocker> {
        None
    }

    /// Returns the ability to list all sessions, if the store has it.
    fn lister(&self) -> Option<&dyn SessionLister> {
        None
    }

    /// Returns the ability to find the sessions of an owner, if the store has it.
    fn index(&self) -> Option<&dyn SessionIndex> {
        None
    }
}

/// A session as it is stored.
#[derive(Clone)]
#[non_exhaustive]
pub struct Stored {
    /// What the last write stored.
    pub payload: Bytes,
    /// Names this state, for [`WriteMode::IfVersion`].
    pub version: Version,
    /// What is left of the lifetime, or `None` if the store cannot tell.
    pub remaining: Option<Duration>,
}

impl Stored {
    /// Makes a result of [`SessionHandler::read`] whose remaining lifetime is unknown.
    #[must_use]
    pub const fn new(payload: Bytes, version: Version) -> Self {
        Self { payload, version, remaining: None }
    }

    /// Says what is left of the lifetime.
    #[must_use]
    pub const fn with_remaining(mut self, remaining: Duration) -> Self {
        self.remaining = Some(remaining);
        self
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { payload, version, remaining } = self;
        f.debug_struct("Stored")
            .field("bytes", &payload.len())
            .field("version", version)
            .field("remaining", remaining)
            .finish()
    }
}

/// Forwards every method, so that no capability is lost behind a pointer.
macro_rules! forward {
    ($pointer:ident) => {
        #[async_trait]
        impl<H: SessionHandler + ?Sized> SessionHandler for $pointer<H> {
            fn info(&self) -> &HandlerInfo {
                (**self).info()
            }
            async fn open(&self) -> Result<()> {
                (**self).open().await
            }
            async fn read(&self, key: &SessionKey) -> Result<Option<Stored>> {
                (**self).read(key).await
            }
            async fn write(
                &self,
                key: &SessionKey,
                payload: Bytes,
                options: &WriteOptions,
            ) -> Result<Version> {
                (**self).write(key, payload, options).await
            }
            async fn touch(&self, key: &SessionKey, idle: Duration) -> Result<bool> {
                (**self).touch(key, idle).await
            }
            async fn destroy(&self, key: &SessionKey, only_at: Option<&Version>) -> Result<bool> {
                (**self).destroy(key, only_at).await
            }
            async fn gc(&self, request: &GcRequest) -> Result<GcReport> {
                (**self).gc(request).await
            }
            async fn close(&self) -> Result<()> {
                (**self).close().await
            }
            fn locker(&self) -> Option<&dyn SessionLocker> {
                (**self).locker()
            }
            fn lister(&self) -> Option<&dyn SessionLister> {
                (**self).lister()
            }
            fn index(&self) -> Option<&dyn SessionIndex> {
                (**self).index()
            }
        }
    };
}

forward!(Arc);
forward!(Box);
