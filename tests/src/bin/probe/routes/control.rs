//! Administration, faults and time.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use data_encoding::BASE64;
use serde_json::{Map, Value, json};
use session_core::{
    Clock, Cursor, Error, ErrorKind, Operation, Owner, Page, PageRequest, SessionMeta,
};
use session_http::LazySession;

use crate::answer::{self, Answer, Refusal};
use crate::app::App;
use crate::faults;
use crate::query::Query;

/// Entries on a page unless the request says otherwise.
const PAGE: usize = 100;

pub(crate) async fn release(State(app): State<App>, query: Query) -> Answer {
    app.barriers.open(&query.text("b"));
    answer::done()
}

/// How many requests wait at a barrier, so that a driver need not sleep.
pub(crate) async fn waiting(State(app): State<App>, query: Query) -> Answer {
    Ok(Json(json!({ "waiting": app.barriers.waiting(&query.text("b")) })))
}

pub(crate) async fn clock(State(app): State<App>, query: Query) -> Answer {
    app.clock.advance(Duration::from_millis(query.number("ms")?)).await;
    answer::done()
}

pub(crate) async fn store(State(app): State<App>, query: Query) -> Answer {
    if faults::set(&app.chaos, &query.text("mode")) {
        answer::done()
    } else {
        Err(Refusal::bad_request(
            "mode is up, down, slow:MS, errget, errset, errtouch, errdel or lost",
        ))
    }
}

pub(crate) async fn ops(State(app): State<App>) -> Answer {
    let counts = app.chaos.take_counts();
    Ok(Json(json!({
        "reads": counts.reads,
        "creates": counts.creates,
        "updates": counts.writes,
        "touches": counts.touches,
        "deletes": counts.destroys,
        "conflicts": app.tally.take_conflicts(),
        "bytes": counts.bytes_written,
    })))
}

/// What was reported to the observer since the last call and to nobody else.
pub(crate) async fn events(State(app): State<App>) -> Answer {
    Ok(Json(json!({
        "unseen": app.tally.take_unseen(),
        "damaged": app.tally.take_damaged(),
    })))
}

pub(crate) async fn count(State(app): State<App>) -> Answer {
    Ok(Json(json!({ "count": app.sessions.count().await? })))
}

pub(crate) async fn list(State(app): State<App>, query: Query) -> Answer {
    let limit = match query.given("n") {
        Some(_) => usize::try_from(query.number("n")?).unwrap_or(usize::MAX),
        None => PAGE,
    };
    let request = match query.given("cursor").filter(|cursor| !cursor.is_empty()) {
        Some(cursor) => PageRequest::at(Cursor::parse(&cursor)?, limit),
        None => PageRequest::first(limit),
    };
    let Page { items, next, .. } = match query.given("who") {
        Some(who) => app.sessions.sessions_of(&Owner::new(&*who)?, &request).await?,
        None => app.sessions.list(&request).await?,
    };
    let now = Duration::from_millis(app.clock.now().as_millis());
    let show = |item: &SessionMeta| {
        json!({
            "handle": item.key.handle(),
            "owner": item.owner.as_ref().map(Owner::as_str),
            "created": now.saturating_sub(item.age).as_secs_f64(),
            "last_seen": now.saturating_sub(item.idle).as_secs_f64(),
            "expires_in": item.remaining.as_secs_f64(),
        })
    };
    let items: Vec<_> = items.iter().map(show).collect();
    Ok(Json(json!({ "items": items, "cursor": next.map(|next| next.to_string()) })))
}

/// Ends all sessions, or those of an owner, and spares the one whose handle is
/// `except`; without a handle, the one of who asks.
pub(crate) async fn revoke(State(app): State<App>, lazy: LazySession, query: Query) -> Answer {
    if query.given("all").is_some() {
        return Ok(Json(json!({ "removed": app.sessions.revoke_all().await? })));
    }
    let owner = Owner::new(&*query.text("who"))?;
    let removed = match query.given("except").as_deref() {
        None => app.sessions.revoke(&owner, None).await?,
        Some("" | "1" | "true" | "current") => {
            let id = lazy.load().await?.id();
            app.sessions.revoke(&owner, id.as_ref()).await?
        }
        Some(handle) => revoke_but(&app, &owner, handle).await?,
    };
    Ok(Json(json!({ "removed": removed })))
}

async fn revoke_but(app: &App, owner: &Owner, handle: &str) -> Result<u64, Refusal> {
    let mut removed = 0;
    let mut request = PageRequest::first(PAGE);
    loop {
        let page = app.sessions.sessions_of(owner, &request).await?;
        for item in page.items.iter().filter(|item| item.key.handle() != handle) {
            app.sessions.destroy(&item.key).await?;
            removed += 1;
        }
        let Some(next) = page.next else { return Ok(removed) };
        request = PageRequest::at(next, PAGE);
    }
}

pub(crate) async fn gc(State(app): State<App>) -> Answer {
    Ok(Json(json!({ "removed": app.sessions.gc().await?.removed })))
}

/// Everything that the engine lists, past the faults and the counters.
pub(crate) async fn raw(State(app): State<App>) -> Answer {
    let lister = app.store.lister().ok_or_else(|| {
        Error::new(ErrorKind::Unsupported, Operation::List, "the engine cannot list sessions")
    })?;
    let mut raw = Map::new();
    let mut request = PageRequest::first(PAGE);
    loop {
        let page = lister.list(&request).await?;
        for item in page.items {
            if let Some(stored) = app.store.read(&item.key).await? {
                raw.insert(item.key.to_string(), Value::from(BASE64.encode(&stored.payload)));
            }
        }
        let Some(next) = page.next else { return Ok(Json(Value::Object(raw))) };
        request = PageRequest::at(next, PAGE);
    }
}
