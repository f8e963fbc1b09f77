//! From the URI to the driver's collections.

use mongodb::bson::{RawDocumentBuf, doc};
use mongodb::error::Error as DriverError;
use mongodb::options::{
    Acknowledgment, ClientOptions, CollectionOptions, ConnectionString, ReadPreference,
    WriteConcern,
};
use mongodb::{Client, Collection, Database};
use session_core::{Error, Operation, Result};
use tokio::sync::OnceCell;

use crate::config::MongoConfig;
use crate::error::{self, invalid};

/// The driver's handles of one store.
pub(crate) struct Collections {
    pub(crate) sessions: Collection<RawDocumentBuf>,
    /// The same, for reads that decide about writes: never from a server that
    /// may lag behind, whatever the URI prefers.
    pub(crate) primary: Collection<RawDocumentBuf>,
    pub(crate) locks: Collection<RawDocumentBuf>,
    /// The client, if it is ours to shut down.
    pub(crate) client: Option<Client>,
    /// Whether the driver repeats writes, as soon as somebody had to know.
    repeats: OnceCell<bool>,
}

impl Collections {
    /// Translates an error of a write of one document.
    ///
    /// The driver repeats such a write if its reply is lost. Is that refused, it
    /// tells why, and nothing of the first one, which may have been made.
    pub(crate) async fn failed(&self, op: Operation, err: &DriverError) -> Error {
        let failed = error::driver(op, err);
        if failed.is_indeterminate() || !error::is_refusal(err) {
            return failed;
        }
        // In a box, as this is rare: each write's future would be as large.
        failed.with_indeterminate(Box::pin(self.repeats()).await)
    }

    /// Whether the driver repeats writes. It cannot where the server is alone.
    async fn repeats(&self) -> bool {
        let ask = async || -> mongodb::error::Result<bool> {
            let admin = self.sessions.client().database("admin");
            let hello = admin.run_command(doc! { "hello": 1 }).await?;
            Ok(hello.contains_key("setName") || hello.get_str("msg") == Ok("isdbgrid"))
        };
        self.repeats.get_or_try_init(ask).await.copied().unwrap_or(true)
    }
}

/// Sets what the URI leaves open, and makes a client, which connects when it is used.
pub(crate) async fn connect(config: &MongoConfig, uri: ConnectionString) -> Result<Collections> {
    let mut options =
        ClientOptions::parse(uri).await.map_err(|err| error::driver(Operation::Open, &err))?;
    let selection = config.timeout / 10 * 9;
    options.server_selection_timeout.get_or_insert(selection);
    options.connect_timeout.get_or_insert(config.timeout / 2);
    let name = config.database.clone().or_else(|| options.default_database.clone());
    let repeats = options.retry_writes != Some(false);
    let client =
        Client::with_options(options).map_err(|err| error::driver(Operation::Open, &err))?;
    // Checked when the URI was read.
    let database = client.database(&name.unwrap_or_default());
    let mut collections = collections(&database, config, Some(client));
    if !repeats {
        collections.repeats = OnceCell::new_with(Some(false));
    }
    Ok(collections)
}

/// Takes the collections of a database.
pub(crate) fn collections(
    database: &Database,
    config: &MongoConfig,
    client: Option<Client>,
) -> Collections {
    let concern = concern(database.write_concern(), config);
    let options = CollectionOptions::builder().write_concern(concern).build();
    let mut deciding = options.clone();
    deciding.selection_criteria = Some(ReadPreference::Primary.into());
    let locks = format!("{}_locks", config.collection);
    Collections {
        sessions: database.collection_with_options(&config.collection, options),
        primary: database.collection_with_options(&config.collection, deciding.clone()),
        locks: database.collection_with_options(&locks, deciding),
        client,
        repeats: OnceCell::new(),
    }
}

/// Returns a write concern that survives a failover, but for what was chosen.
fn concern(chosen: Option<&WriteConcern>, config: &MongoConfig) -> WriteConcern {
    let mut concern = chosen.cloned().unwrap_or_default();
    concern.w.get_or_insert(Acknowledgment::Majority);
    concern.journal.get_or_insert(true);
    concern.w_timeout.get_or_insert(config.timeout / 10 * 9);
    concern
}

/// Refuses `w=0`: a write that nobody answers is not known to have happened.
pub(crate) fn refuse_unacknowledged(concern: Option<&WriteConcern>) -> Result<()> {
    let unacknowledged =
        concern.is_some_and(|concern| matches!(concern.w, Some(Acknowledgment::Nodes(0))));
    if unacknowledged {
        return Err(invalid("w=0 asks for writes that nobody confirms; leave `w` out, or set 1"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uri::parse;

    async fn of(query: &str) -> WriteConcern {
        let config = MongoConfig::new(format!("mongodb://host/app?{query}"));
        let collections = connect(&config, parse(&config).unwrap()).await.unwrap();
        for collection in [&collections.sessions, &collections.primary, &collections.locks] {
            assert_eq!(collection.write_concern(), collections.sessions.write_concern());
        }
        collections.sessions.write_concern().cloned().unwrap()
    }

    #[tokio::test]
    async fn what_the_uri_says_of_writes_changes_nothing_else_about_them() {
        let default = of("").await;
        assert_eq!((&default.w, default.journal), (&Some(Acknowledgment::Majority), Some(true)));
        assert!(default.w_timeout.is_some());
        let mut other = default.clone();
        other.w_timeout = Some(std::time::Duration::from_millis(5000));
        assert_eq!(of("wtimeoutMS=5000").await, other);
        assert_eq!(of("journal=true").await, default);
        assert_eq!(of("w=majority").await, default);
        let mut other = default.clone();
        other.journal = Some(false);
        assert_eq!(of("journal=false").await, other);
        let mut other = default;
        other.w = Some(Acknowledgment::Nodes(1));
        assert_eq!(of("w=1").await, other);
    }
}
