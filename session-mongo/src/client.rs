//! From the URI to the driver's collections.

use mongodb::bson::RawDocumentBuf;
use mongodb::options::{
    Acknowledgment, ClientOptions, CollectionOptions, ConnectionString, ReadPreference,
    WriteConcern,
};
use mongodb::{Client, Collection, Database};
use session_core::{Operation, Result};

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
}

/// Sets what the URI leaves open, and makes a client, which connects when it is used.
pub(crate) async fn connect(config: &MongoConfig, uri: ConnectionString) -> Result<Collections> {
    let mut options =
        ClientOptions::parse(uri).await.map_err(|err| error::driver(Operation::Open, &err))?;
    let selection = config.timeout / 10 * 9;
    options.server_selection_timeout.get_or_insert(selection);
    options.connect_timeout.get_or_insert(config.timeout / 2);
    let name = config.database.clone().or_else(|| options.default_database.clone());
    let client =
        Client::with_options(options).map_err(|err| error::driver(Operation::Open, &err))?;
    // Checked when the URI was read.
    let database = client.database(&name.unwrap_or_default());
    Ok(collections(&database, config, Some(client)))
}

/// Takes the collections of a database, with a write concern that survives a
/// failover unless the application has chosen one.
pub(crate) fn collections(
    database: &Database,
    config: &MongoConfig,
    client: Option<Client>,
) -> Collections {
    let given = database.write_concern().cloned();
    let concern = given.unwrap_or_else(|| {
        WriteConcern::builder()
            .w(Acknowledgment::Majority)
            .journal(true)
            .w_timeout(config.timeout / 10 * 9)
            .build()
    });
    let options = CollectionOptions::builder().write_concern(concern).build();
    let mut deciding = options.clone();
    deciding.selection_criteria = Some(ReadPreference::Primary.into());
    let locks = format!("{}_locks", config.collection);
    Collections {
        sessions: database.collection_with_options(&config.collection, options),
        primary: database.collection_with_options(&config.collection, deciding.clone()),
        locks: database.collection_with_options(&locks, deciding),
        client,
    }
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
