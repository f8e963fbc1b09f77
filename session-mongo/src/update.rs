//! The updates, as pipelines that the server runs on one document.
//!
//! Every filter is the key alone; whether the update applies is decided inside,
//! against the server's clock. A refused update leaves the document as it is,
//! so what was modified says whether it was made.

use bytes::Bytes;
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use session_core::{FencingToken, SessionKey, WriteMode, WriteOptions};

use crate::encoder::Encoder;
use crate::record::{self, NOW, binary, expired, live, millis};

/// The size of a record without its payload and its owner, and a little more.
const RECORD: usize = 192;

/// Returns an update that puts a new record in the place of what the mode asks for.
pub(crate) fn put(options: &WriteOptions, version: i64, payload: &Bytes) -> Vec<Document> {
    let mut conditions = Vec::with_capacity(3);
    match &options.mode {
        WriteMode::Create => conditions.push(Bson::Document(free())),
        WriteMode::Replace => conditions.push(Bson::Document(live())),
        WriteMode::IfVersion(wanted) => {
            // No record has a negative version.
            let wanted = wanted.as_counter().map_or(-1, u64::cast_signed);
            conditions.push(Bson::Document(doc! { "$eq": ["$v", wanted] }));
            conditions.push(Bson::Document(live()));
        }
    }
    if let Some(fence) = options.fence {
        conditions.push(Bson::Document(passes(fence)));
    }
    let condition = match conditions.pop() {
        Some(only) if conditions.is_empty() => only,
        last => {
            conditions.extend(last);
            Bson::Document(doc! { "$and": conditions })
        }
    };
    let new = record(options, version, payload);
    vec![doc! { "$replaceWith": { "$cond": [condition, new, "$$ROOT"] } }]
}

/// Returns a record for a key that nobody is known to have taken, with the
/// server's time as it was told. `None` if it is too large for a document.
pub(crate) fn new(
    key: &SessionKey,
    options: &WriteOptions,
    version: i64,
    payload: &Bytes,
    now: i64,
) -> Option<RawDocumentBuf> {
    let after = |by: i64| now.saturating_add(by);
    let mut record = Encoder::with_capacity(RECORD + payload.len());
    record.binary("_id", key.as_bytes());
    record.number("v", version);
    record.date("exp", after(millis(options.lifetime())));
    record.date("created", after(-millis(options.age)));
    record.date("touched", now);
    if let Some(absolute) = options.absolute {
        record.date("abs", after(millis(absolute)));
    }
    if let Some(FencingToken(token)) = options.fence {
        record.number("fence", token.cast_signed());
    }
    if options.pointer {
        record.boolean("ptr", true);
    } else if let Some(owner) = &options.owner {
        record.binary("owner", owner.as_str().as_bytes());
    }
    record.binary("data", payload);
    record.document()
}

/// Returns an expression that makes a record, at the server's time.
fn record(options: &WriteOptions, version: i64, payload: &Bytes) -> Document {
    let from_now = |by: i64| doc! { "$add": [NOW, by] };
    let mut record = doc! {
        "_id": "$_id",
        "v": version,
        "exp": from_now(millis(options.lifetime())),
        "created": from_now(-millis(options.age)),
        "touched": NOW,
    };
    if let Some(absolute) = options.absolute {
        record.insert("abs", from_now(millis(absolute)));
    }
    match options.fence {
        Some(FencingToken(token)) => record.insert("fence", token.cast_signed()),
        // The mark of a lock outlives writes that know nothing of it.
        None => record.insert("fence", "$fence"),
    };
    if options.pointer {
        record.insert("ptr", true);
    } else if let Some(owner) = &options.owner {
        record.insert("owner", record::owner(owner));
    }
    record.insert("data", binary(&payload[..]));
    record
}

/// Returns an expression that is true of a key that is free. What does not
/// verify is not known to have expired, so its key is taken.
fn free() -> Document {
    doc! { "$or": [{ "$eq": [{ "$type": "$exp" }, "missing"] }, expired()] }
}

/// Returns an expression that is true of records that no later lock has marked.
fn passes(FencingToken(token): FencingToken) -> Document {
    doc! { "$lte": ["$fence", token.cast_signed()] }
}

/// Returns an update that extends the lifetime of a live session, and not of a
/// pointer to one.
pub(crate) fn touch(idle: i64) -> Vec<Document> {
    // The least of a date and nothing is the date.
    let later = doc! { "$min": [{ "$add": [NOW, idle] }, "$abs"] };
    let touched = doc! { "exp": { "$max": ["$exp", later] }, "touched": NOW };
    let extended = doc! { "$mergeObjects": ["$$ROOT", touched] };
    let session = doc! { "$and": [live(), { "$ne": ["$ptr", true] }] };
    vec![doc! { "$replaceWith": { "$cond": [session, extended, "$$ROOT"] } }]
}
