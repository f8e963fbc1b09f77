//! A session in the hand of a worker.

use session_core::{Error, ErrorKind, SessionKey};

use super::subject::{Held, Life, Manner};
use crate::history::{Answer, End};

/// A session in the hand of a worker, and what it was loaded for.
pub(super) struct Hand {
    pub(super) lineage: u64,
    /// The handle of the id by which it was loaded.
    pub(super) id: String,
    pub(super) manner: Manner,
    /// How long the session lives unused, in milliseconds.
    pub(super) idle: u64,
    pub(super) held: Box<dyn Held>,
}

impl Hand {
    /// Returns the answer to a logout: done, unless an id is left.
    pub(super) fn ended(&self) -> Answer {
        self.held.id().map_or(Answer::Done, |id| Answer::Named(SessionKey::of(&id).handle()))
    }

    /// Returns to how many milliseconds a touch by this hand extends the life.
    pub(super) fn touch_idle(&self) -> u64 {
        if self.manner == Manner::Brief && self.idle == millis(Life::IDLE) {
            return millis(Life::BRIEF);
        }
        self.idle
    }

    /// Returns the answer to a write: done, another id, or what was shown of
    /// another session.
    pub(super) fn written(&self) -> Answer {
        let data = self.held.data();
        if data.tag != self.lineage {
            return Answer::Found(data);
        }
        match self.held.id() {
            Some(id) if SessionKey::of(&id).handle() != self.id => {
                Answer::Named(SessionKey::of(&id).handle())
            }
            _ => Answer::Done,
        }
    }
}

pub(super) fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What an error says about its call.
pub(super) fn end(err: &Error) -> End {
    let kind = || err.kind().as_str().to_owned();
    match err.kind() {
        _ if err.is_indeterminate() => End::Info(kind()),
        ErrorKind::Gone => End::Ok(Answer::Gone),
        _ => End::Fail(kind()),
    }
}
