//! The life of the session.

use std::time::Duration;

use axum::extract::State;
use session_core::Value;
use session_http::Session;

use crate::answer::{self, Answer, Refusal};
use crate::app::App;
use crate::options::seconds;
use crate::query::Query;

/// The name of the one flash message.
const MESSAGE: &str = "message";

pub(crate) async fn rotate(session: Session, query: Query) -> Answer {
    if let Some(keep) = query.given("keep") {
        let kept: Vec<_> = keep.split(',').collect();
        session.forget(session.keys()?.iter().filter(|key| !kept.contains(&key.as_str())))?;
    }
    session.regenerate()?;
    answer::done()
}

pub(crate) async fn reset(session: Session) -> Answer {
    session.flush()?;
    session.regenerate()?;
    answer::done()
}

pub(crate) async fn destroy(session: Session) -> Answer {
    session.destroy()?;
    answer::done()
}

/// Sets the lifetimes of this session, in seconds: `default` for the policy's,
/// `never` for no end.
pub(crate) async fn life(State(app): State<App>, session: Session, query: Query) -> Answer {
    let bad = || Refusal::bad_request("a lifetime is seconds, `default` or `never`");
    if let Some(idle) = query.given("idle") {
        session.set_idle(match &*idle {
            "default" => None,
            "never" => Some(Duration::MAX),
            idle => Some(seconds(idle).ok_or_else(bad)?),
        })?;
    }
    if let Some(absolute) = query.given("abs") {
        session.set_absolute(match &*absolute {
            "default" => app.sessions.policy().absolute,
            "never" => None,
            absolute => Some(seconds(absolute).ok_or_else(bad)?),
        })?;
    }
    if let Some(persist) = query.given("persist") {
        session.set_persistent(match &*persist {
            "default" => None,
            "0" => Some(false),
            "1" => Some(true),
            _ => return Err(Refusal::bad_request("persist is 0, 1 or `default`")),
        })?;
    }
    answer::done()
}

pub(crate) async fn bind(session: Session, query: Query) -> Answer {
    session.bind(query.text("who"))?;
    answer::done()
}

pub(crate) async fn unbind(session: Session) -> Answer {
    session.unbind()?;
    answer::done()
}

pub(crate) async fn flash(session: Session, query: Query) -> Answer {
    session.flash(MESSAGE, query.text("m"))?;
    answer::done()
}

pub(crate) async fn flashed(session: Session) -> Answer {
    answer::value(session.flashed::<Value>(MESSAGE)?)
}

/// Shows the message and keeps it for one request more.
pub(crate) async fn keep_flash(session: Session) -> Answer {
    let message: Option<Value> = session.flashed(MESSAGE)?;
    session.keep_flash()?;
    answer::value(message)
}
