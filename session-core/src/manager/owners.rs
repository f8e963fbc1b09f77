//! How many sessions an owner may have.

use std::sync::Arc;

use super::Core;
use super::write::Work;
use crate::frame::Meta;
use crate::{Error, ErrorKind, Excess, Operation, Owner, PageRequest, Result, SessionKey};

/// The most sessions of an owner that are asked for at once when they are counted.
const PAGE: usize = 100;

impl Core {
    /// Refuses one session too many of an owner, where the policy says so.
    pub(super) async fn refuse_excess(
        &self,
        work: &Work,
        meta: &Meta,
        key: &SessionKey,
    ) -> Result<()> {
        let Some(limit) = self.policy.per_owner.as_ref() else { return Ok(()) };
        let (Some(owner), Some(index)) = (newly_bound(work, meta), self.handler.index()) else {
            return Ok(());
        };
        if limit.excess != Excess::Refuse {
            return Ok(());
        }
        let mut others = 0;
        let page_len = limit.sessions.saturating_add(1).min(PAGE);
        let mut request = PageRequest::first(page_len);
        loop {
            let page = self.call(Operation::Index, index.sessions(owner, &request), |_| 0).await?;
            others += page.items.iter().filter(|item| item.key != *key).count();
            if others >= limit.sessions {
                let message = "the owner has as many sessions as are allowed; end one of them";
                return Err(Error::new(ErrorKind::TooMany, Operation::Index, message));
            }
            let Some(next) = page.next else { return Ok(()) };
            request = PageRequest::at(next, page_len);
        }
    }

    /// Ends the oldest sessions of an owner that has too many, where the policy says so.
    pub(super) async fn evict_excess(self: &Arc<Self>, work: &Work, meta: &Meta, key: &SessionKey) {
        let Some(limit) = self.policy.per_owner.as_ref() else { return };
        let (Some(owner), Some(index)) = (newly_bound(work, meta), self.handler.index()) else {
            return;
        };
        if limit.excess != Excess::Evict {
            return;
        }
        let cap = index.cap(owner, limit.sessions, key);
        let evicted = self.call(Operation::Index, cap, |_| 0).await;
        if !matches!(evicted, Ok(0)) {
            self.revoked(owner, &evicted).await;
        }
        if let Err(err) = &evicted {
            self.unseen(err);
        }
    }
}

/// Returns the owner that a save gives the session, if it does.
fn newly_bound<'a>(work: &Work, meta: &'a Meta) -> Option<&'a Owner> {
    meta.owner.as_ref().filter(|_| work.changes.meta.owner.is_some())
}
