//! Operations written as text: `put:a:1,incr:n,rotate`.

use serde_json::{Value, json};
use session_http::Session;

use crate::answer::Refusal;

/// Does all operations in order, and returns one result for each. The first
/// that fails is the last.
pub(crate) async fn run(session: &Session, ops: &str) -> Result<Value, Refusal> {
    let mut out = Vec::new();
    for op in ops.split(',').filter(|op| !op.is_empty()) {
        out.push(one(session, op).await?);
    }
    Ok(json!({ "out": out }))
}

async fn one(session: &Session, op: &str) -> Result<Value, Refusal> {
    let mut parts = op.splitn(3, ':');
    let name = parts.next().unwrap_or_default();
    let key = parts.next().unwrap_or_default();
    let value = parts.next().unwrap_or_default();
    Ok(match name {
        "put" => {
            session.set(key, value)?;
            json!(value)
        }
        "incr" => json!(session.increment(key, 1)?),
        "del" => {
            let before = session.get::<session_core::Value>(key)?;
            session.delete(key)?;
            json!(before)
        }
        "pop" => json!(session.pull::<session_core::Value>(key)?),
        "peek" => json!(session.get::<session_core::Value>(key)?),
        "clear" => {
            session.flush()?;
            Value::Null
        }
        "save" => {
            session.save().await?;
            Value::Null
        }
        "reload" => {
            session.reload().await?;
            Value::Null
        }
        "touch" => json!(session.refresh().await?),
        "rotate" => {
            session.regenerate()?;
            Value::Null
        }
        "destroy" => {
            session.destroy()?;
            Value::Null
        }
        _ => return Err(Refusal::bad_request("unknown operation")),
    })
}
