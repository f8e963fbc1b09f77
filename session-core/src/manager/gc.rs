//! Collecting expired sessions: when the lottery says so, and when it is asked for.

use std::sync::Arc;

use super::Core;
use crate::{Event, GcReport, GcRequest, Operation, Result, random};

impl Core {
    /// Collects expired sessions in the background, if the lottery says so.
    pub(crate) fn draw_lottery(self: &Arc<Self>) {
        let Some(lottery) = self.policy.lottery else { return };
        if self.handler.info().expires_natively {
            return;
        }
        match random::below(&*self.random, u64::from(lottery.divisor)) {
            Ok(drawn) if drawn < u64::from(lottery.probability) => {
                let core = Arc::clone(self);
                self.spawn(Box::pin(async move {
                    if let Err(err) = core.collect(&GcRequest::default()).await {
                        core.unseen(&err);
                    }
                }));
            }
            Ok(_) => {}
            Err(err) => self.unseen(&err),
        }
    }

    pub(crate) async fn collect(&self, request: &GcRequest) -> Result<GcReport> {
        // The store's own time for a step, and what every call may take on top.
        let limit = self.policy.deadline.saturating_add(request.time);
        let report =
            self.call_within(Operation::Gc, limit, self.handler.gc(request), |_| 0).await?;
        self.observe(&Event::Collected(&report));
        Ok(report)
    }
}
