//! Finding, counting and ending sessions from outside.

use std::sync::Arc;

use super::load::MAX_HOPS;
use super::{Core, SessionManager};
use crate::frame::Frame;
use crate::session::state::Doomed;
use crate::{
    Error, ErrorKind, Event, GcReport, GcRequest, Operation, Owner, Page, PageRequest, Result,
    SessionId, SessionIndex, SessionKey, SessionLister,
};

/// Entries that are asked for at once when all sessions are walked.
const PAGE: usize = 500;

impl SessionManager {
    /// Returns one page of all live sessions.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] if the engine cannot list,
    /// [`ErrorKind::InvalidInput`] for a cursor of something else; else what the
    /// engine says.
    pub async fn list(&self, request: &PageRequest) -> Result<Page> {
        let lister = self.0.lister()?;
        self.0.call(Operation::List, lister.list(request), |_| 0).await
    }

    /// Returns how many live sessions there are.
    ///
    /// Asks page by page, so that no call takes longer with the size of the
    /// store. Of sessions that begin or end meanwhile some count and some do not.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    pub async fn count(&self) -> Result<u64> {
        let mut count = 0;
        let mut request = PageRequest::first(PAGE);
        loop {
            let page = self.list(&request).await?;
            count += page.items.len() as u64;
            match page.next {
                Some(cursor) => request = PageRequest::at(cursor, PAGE),
                None => return Ok(count),
            }
        }
    }

    /// Returns one page of an owner's live sessions.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] if the engine has no index,
    /// [`ErrorKind::InvalidInput`] for a cursor of something else; else what the
    /// engine says.
    pub async fn sessions_of(&self, owner: &Owner, request: &PageRequest) -> Result<Page> {
        let index = self.0.index()?;
        self.0.call(Operation::Index, index.sessions(owner, request), |_| 0).await
    }

    /// Ends all sessions of an owner, but for one. Returns how many there were.
    ///
    /// The exception is known by its id. If another request is giving it a new one
    /// at this very moment, it may end too, as if that request had come first.
    ///
    /// To end the present session with them, also call
    /// [`destroy`](crate::Session::destroy) on it: its handle lives on, the client keeps
    /// its cookie, and a later save of changes fails with [`ErrorKind::Gone`].
    ///
    /// ```
    /// use session_core::{ErrorKind, MemoryHandler, Owner, SessionManager};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> session_core::Result<()> {
    /// let sessions = SessionManager::new(MemoryHandler::new());
    /// let session = sessions.create();
    /// session.bind("user-17")?;
    /// session.save().await?;
    /// let other = sessions.load(&session.id().expect("it is saved")).await?;
    ///
    /// assert_eq!(sessions.revoke(&Owner::new("user-17")?, None).await?, 1);
    /// other.set("late", true)?;
    /// assert_eq!(other.save().await.unwrap_err().kind(), ErrorKind::Gone);
    ///
    /// // What is set after this is in a new session.
    /// session.destroy()?;
    /// session.flash("notice", "You are signed out everywhere.")?;
    /// session.save().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`sessions_of`](Self::sessions_of).
    pub async fn revoke(&self, owner: &Owner, except: Option<&SessionId>) -> Result<u64> {
        let index = self.0.index()?;
        let except = except.map(SessionKey::of);
        let revoke = index.revoke(owner, except.as_ref());
        let revoked = self.0.call(Operation::Index, revoke, |_| 0).await;
        self.0.revoked(owner, &revoked).await;
        revoked
    }

    /// Ends one session, as found in a list, wherever its id has moved.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub async fn destroy(&self, key: &SessionKey) -> Result<()> {
        self.0.end(&Doomed { key: *key, version: None, owner: None }).await
    }

    /// Ends all sessions. Returns how many there were. Sessions that are created
    /// meanwhile may live.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    pub async fn revoke_all(&self) -> Result<u64> {
        let mut count = 0;
        let mut request = PageRequest::first(PAGE);
        loop {
            let page = self.list(&request).await?;
            for item in &page.items {
                self.destroy(&item.key).await?;
                count += 1;
            }
            match page.next {
                Some(cursor) => request = PageRequest::at(cursor, PAGE),
                None => {
                    self.0.observe(&Event::Revoked(count));
                    return Ok(count);
                }
            }
        }
    }

    /// Removes expired records, step by step, until the walk is at its end. A
    /// step may take its own time and [`Policy::deadline`](crate::Policy::deadline) on top.
    ///
    /// # Errors
    ///
    /// What the store says. What was removed until then stays removed.
    pub async fn gc(&self) -> Result<GcReport> {
        let mut total = GcReport::default();
        loop {
            let step = self.0.collect(&GcRequest::default()).await?;
            total.removed += step.removed;
            total.scanned += step.scanned;
            total.skipped += step.skipped;
            if !step.more {
                return Ok(total);
            }
        }
    }
}

impl Core {
    fn lister(&self) -> Result<&dyn SessionLister> {
        let lister = self.handler.lister();
        lister.ok_or_else(|| unsupported(Operation::List, "the engine cannot list sessions"))
    }

    fn index(&self) -> Result<&dyn SessionIndex> {
        let index = self.handler.index();
        index.ok_or_else(|| unsupported(Operation::Index, "the engine has no index of owners"))
    }

    /// After an owner's sessions were ended by the store itself, looks which of
    /// those that somebody watches are over. Also after an error: it may have come
    /// when some had ended.
    pub(super) async fn revoked(self: &Arc<Self>, owner: &Owner, count: &Result<u64>) {
        if let Ok(count) = count {
            self.observe(&Event::Revoked(*count));
        }
        if let Some(stale) = &self.stale {
            stale.clear();
        }
        self.look_at(self.watchers.watched_of(owner)).await;
    }

    /// Tells those who watch these sessions which of them are over: in the
    /// background, where there is one, because the request that ended them has no
    /// use for it.
    pub(super) async fn look_at(self: &Arc<Self>, keys: Vec<SessionKey>) {
        if keys.is_empty() {
            return;
        }
        let core = Arc::clone(self);
        let look = Box::pin(async move {
            for key in keys {
                if let Err(err) = core.look(key).await {
                    core.unseen(&err);
                }
            }
        });
        if self.runtime.is_some() { self.spawn(look) } else { look.await }
    }

    /// Tells those who watch a session if it is over, wherever its id has moved.
    async fn look(&self, mut key: SessionKey) -> Result<()> {
        for _ in 0..MAX_HOPS {
            let Some(stored) = self.read(&key).await? else { break };
            match self.parse(&stored.payload, &key) {
                Ok(Frame::Pointer(pointer)) => key = pointer.target,
                Ok(Frame::Session(_)) | Err(_) => return Ok(()),
            }
        }
        self.announce_end(&key);
        Ok(())
    }
}

fn unsupported(operation: Operation, message: &'static str) -> Error {
    Error::new(ErrorKind::Unsupported, operation, message)
}
