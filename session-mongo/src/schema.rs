//! The indexes: made where they are missing, checked where they are there.

use std::time::Duration;

use mongodb::bson::{RawDocumentBuf, doc};
use mongodb::error::Error as DriverError;
use mongodb::options::IndexOptions;
use mongodb::{Collection, IndexModel};
use session_core::{Error, ErrorKind, Operation, Result};

use crate::client::Collections;
use crate::codes::*;
use crate::config::Indexes;
use crate::error;
use crate::reply::{Fields, all, first, only_batch};
use crate::store::Store;
use crate::sweep::GRANT_KEPT;

const OP: Operation = Operation::Open;
/// How long the server keeps a record after its end. Reads do not see it; a
/// server whose clock is a little ahead after a failover takes nothing early.
const SLACK: Duration = Duration::from_secs(60);

impl Store {
    /// Connects, and makes sure that sessions are found and end in time.
    pub(crate) async fn open(&self) -> Result<()> {
        let (indexes, name) = (self.config.indexes, self.config.collection.as_str());
        self.call(OP, |to| async move {
            refuse_strangers(to).await?;
            if indexes == Indexes::Ignore {
                return Ok(());
            }
            let there = Existing::of(to).await?;
            there.refuse_early_ends()?;
            if there.is_complete() {
                return Ok(());
            }
            if indexes == Indexes::Check {
                return Err(lacking(name));
            }
            create(to, &there, name).await
        })
        .await
    }
}

/// Refuses a collection that is used for something else already.
async fn refuse_strangers(to: &Collections) -> Result<()> {
    let fields = doc! { "_id": 1, "v": 1, "exp": 1 };
    let cursor = to.primary.find(doc! {}).projection(fields).limit(-1).batch().await;
    let Some(batch) = only_batch(OP, cursor).await? else { return Ok(()) };
    let known = |fields: Fields<'_>| {
        fields.key().is_ok() && fields.version().is_ok() && fields.has_deadline()
    };
    if first(OP, &batch)?.is_none_or(known) {
        return Ok(());
    }
    Err(error::new(
        ErrorKind::InvalidConfig,
        OP,
        "the collection holds documents that are not sessions of this engine; name another one \
         in session.collection",
    ))
}

/// What is known about the indexes that are there.
#[derive(Default)]
struct Existing {
    expiry: bool,
    owner: bool,
    /// A field other than `exp` at which the server removes documents.
    early_end: bool,
    expiry_without_ttl: bool,
    /// That of the locks.
    lock_expiry: bool,
}

impl Existing {
    async fn of(to: &Collections) -> Result<Self> {
        let mut there = Self::default();
        for (first, ends) in listed(&to.sessions).await? {
            match first.as_deref() {
                Some("exp") if ends => there.expiry = true,
                Some("exp") => there.expiry_without_ttl = true,
                Some("owner") => there.owner = true,
                _ => there.early_end |= ends,
            }
        }
        let locks = listed(&to.locks).await?;
        there.lock_expiry =
            locks.iter().any(|(first, ends)| *ends && first.as_deref() == Some("until"));
        Ok(there)
    }

    fn refuse_early_ends(&self) -> Result<()> {
        if self.early_end {
            return Err(error::new(
                ErrorKind::InvalidConfig,
                OP,
                "the collection has a TTL index on another field than `exp`, which ends sessions \
                 before their time; drop that index",
            ));
        }
        if self.expiry_without_ttl && !self.expiry {
            return Err(error::new(
                ErrorKind::InvalidConfig,
                OP,
                "the collection has an index on `exp` without expireAfterSeconds; drop it, or set \
                 session.indexes=ignore and collect garbage",
            ));
        }
        Ok(())
    }

    const fn is_complete(&self) -> bool {
        self.expiry && self.owner && self.lock_expiry
    }

    /// Returns those of the sessions that are missing.
    fn missing(&self) -> Vec<IndexModel> {
        let mut missing = Vec::new();
        if !self.expiry {
            let options = IndexOptions::builder().name("session_expiry".to_owned());
            let options = options.expire_after(SLACK).build();
            missing.push(IndexModel::builder().keys(doc! { "exp": 1 }).options(options).build());
        }
        if !self.owner {
            let options = IndexOptions::builder().name("session_owner".to_owned());
            let owned = doc! { "owner": { "$exists": true } };
            let options = options.partial_filter_expression(owned).build();
            let keys = doc! { "owner": 1, "_id": 1 };
            missing.push(IndexModel::builder().keys(keys).options(options).build());
        }
        missing
    }
}

/// Lists the indexes of a collection: the first field of each, and whether it
/// removes documents. What is not told is taken for missing: making it again
/// changes nothing.
async fn listed(collection: &Collection<RawDocumentBuf>) -> Result<Vec<(Option<String>, bool)>> {
    match collection.list_indexes().batch().await {
        Ok(cursor) => all(OP, Ok(cursor), |fields| Ok(Some(index(fields)))).await,
        Err(err) if matches!(error::code(&err), Some(NAMESPACE_NOT_FOUND | UNAUTHORIZED)) => {
            Ok(Vec::new())
        }
        Err(err) => Err(error::driver(OP, &err)),
    }
}

/// Returns the first field of an index that the server describes, and whether
/// it removes documents.
fn index(fields: Fields<'_>) -> (Option<String>, bool) {
    let keys = fields.document.get_document("key").ok();
    let first = keys.and_then(|keys| keys.iter().next()?.ok());
    let ends = matches!(fields.document.get("expireAfterSeconds"), Ok(Some(_)));
    (first.map(|(name, _)| name.to_string()), ends)
}

/// Makes the indexes that are not there. Two processes may do so at once.
async fn create(to: &Collections, there: &Existing, name: &str) -> Result<()> {
    let missing = there.missing();
    if !missing.is_empty() {
        to.sessions.create_indexes(missing).await.map_err(|err| not_made(&err, name))?;
    }
    if there.lock_expiry {
        return Ok(());
    }
    let kept = Duration::from_millis(GRANT_KEPT.cast_unsigned());
    let options = IndexOptions::builder().name("lock_expiry".to_owned()).expire_after(kept);
    let locks = IndexModel::builder().keys(doc! { "until": 1 }).options(options.build()).build();
    to.locks.create_index(locks).await.map(drop).map_err(|err| not_made(&err, name))
}

fn not_made(err: &DriverError, name: &str) -> Error {
    match error::code(err) {
        Some(UNAUTHORIZED) => lacking(name),
        Some(CANNOT_CREATE_INDEX | INDEX_OPTIONS_CONFLICT | INDEX_KEY_SPECS_CONFLICT) => {
            error::new(
                ErrorKind::InvalidConfig,
                OP,
                "an index of the collection has the same name or fields and other options; drop it, \
             or set session.indexes=ignore and collect garbage",
            )
        }
        Some(COMMAND_NOT_FOUND | COMMAND_NOT_SUPPORTED | NOT_IMPLEMENTED) => error::new(
            ErrorKind::Unsupported,
            OP,
            "the server makes no such indexes; set session.indexes=ignore and collect garbage",
        ),
        _ => error::driver(OP, err),
    }
}

fn lacking(name: &str) -> Error {
    let message = format!(
        "indexes are missing and were not made (session.indexes=check, or no right to); run \
         db.{name}.createIndex({{exp: 1}}, {{expireAfterSeconds: 60}}) and \
         db.{name}.createIndex({{owner: 1, _id: 1}}, {{partialFilterExpression: {{owner: \
         {{$exists: true}}}}}}) and \
         db.{name}_locks.createIndex({{until: 1}}, {{expireAfterSeconds: 3600}}), \
         or set session.indexes=ignore"
    );
    error::new(ErrorKind::InvalidConfig, OP, message)
}
