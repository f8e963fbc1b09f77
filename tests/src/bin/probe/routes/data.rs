//! One operation on the data of the session.

use axum::Json;
use serde_json::{Value as Structure, json};
use session_core::Value;
use session_http::Session;

use crate::answer::{self, Answer, Refusal};
use crate::query::Query;

pub(crate) async fn noop() -> Answer {
    answer::done()
}

pub(crate) async fn peek(session: Session, query: Query) -> Answer {
    let value: Option<Value> = session.get(&*query.text("k"))?;
    Ok(Json(json!({
        "v": value,
        "keys": session.keys()?,
        "status": session.status().as_str(),
        "handle": session.handle(),
        "all": session.all()?,
    })))
}

pub(crate) async fn peek_int(session: Session, query: Query) -> Answer {
    answer::value(session.get::<i64>(&*query.text("k"))?.map(Value::from))
}

pub(crate) async fn put(session: Session, query: Query) -> Answer {
    let value = query.value()?;
    session.set(&*query.text("k"), &value)?;
    answer::value(value)
}

pub(crate) async fn put_n(session: Session, query: Query) -> Answer {
    let value = query.value()?;
    for _ in 0..query.number("n")? {
        session.set(&*query.text("k"), &value)?;
    }
    answer::value(value)
}

pub(crate) async fn del(session: Session, query: Query) -> Answer {
    let key = query.text("k");
    let before: Option<Value> = session.get(&*key)?;
    session.delete(key)?;
    answer::value(before)
}

pub(crate) async fn clear(session: Session) -> Answer {
    session.flush()?;
    answer::value(None)
}

pub(crate) async fn pop(session: Session, query: Query) -> Answer {
    answer::value(session.pull::<Value>(&*query.text("k"))?)
}

pub(crate) async fn incr(session: Session, query: Query) -> Answer {
    answer::value(Value::from(session.increment(&*query.text("k"), 1)?))
}

/// Loads a structure, changes what is at the path `p` in it (`a.b.0`), and
/// stores it.
pub(crate) async fn nest(session: Session, query: Query) -> Answer {
    let key = query.text("k");
    let mut structure: Structure = session.get(&*key)?.unwrap_or(Structure::Null);
    let new = serde_json::to_value(query.value()?)
        .map_err(|_| Refusal::bad_request("the value is not JSON"))?;
    let mut place = &mut structure;
    for step in query.text("p").split(['.', '/']).filter(|step| !step.is_empty()) {
        place = match place {
            Structure::Array(items) => step.parse().ok().and_then(|at: usize| items.get_mut(at)),
            Structure::Object(fields) => Some(fields.entry(step).or_insert(Structure::Null)),
            Structure::Null => {
                *place = json!({ step: null });
                place.get_mut(step)
            }
            _ => None,
        }
        .ok_or(Refusal::bad_request("the structure has no such path"))?;
    }
    *place = new;
    session.set(&*key, &structure)?;
    Ok(Json(json!({ "v": structure })))
}
