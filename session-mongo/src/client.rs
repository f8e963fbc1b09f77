//! From the URI to the driver's collections.

use mongodb::options::{
    Acknowledgment, ClientOptions, CollectionOptions, ConnectionString, ReadPreference,
    WriteConcern,
};
use mongodb::{Client, Database};
use session_core::{Error, ErrorKind, Operation, Result};

use crate::config::{MongoConfig, invalid, is_database};
use crate::error;
use crate::store::Collections;

/// Reads a URI without looking anything up, so that a mistake is found at once.
pub(crate) fn parse(config: &MongoConfig) -> Result<ConnectionString> {
    let uri = config.uri.as_deref().ok_or_else(|| {
        invalid("name a server and a database, as in mongodb://user:password@host:27017/app")
    })?;
    if uri.split_once('?').is_some_and(|(_, query)| query.contains('@')) {
        // It may be a password that begins before it: nothing of it is an option.
        return Err(invalid(
            "there is an `@` after the `?` of the URI; percent-encode `?` in the password as %3F, \
             and `@` in an option as %40",
        ));
    }
    if uri.starts_with("mongodb+srv:") && !cfg!(feature = "dns") {
        return Err(invalid(
            "mongodb+srv: needs the feature `dns` of session-mongo (`mongo-dns` of session-http)",
        ));
    }
    let parsed = ConnectionString::parse(uri).map_err(|err| refused(uri, &err))?;
    let named = config.database.as_deref().or(parsed.default_database.as_deref());
    match named {
        None => Err(invalid(
            "the URI names no database; end it with one, as in mongodb://host/app, or set \
             session.database",
        )),
        Some(name) if !is_database(name) => {
            Err(invalid("the database must be a name of 1 to 63 letters, digits, `_` and `-`"))
        }
        Some(_) => {
            refuse_unacknowledged(parsed.write_concern.as_ref())?;
            Ok(parsed)
        }
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

/// Repeats what the driver says about a URI, if it repeats nothing of what may
/// be secret: user, password, or the value of an option.
fn refused(uri: &str, err: &mongodb::error::Error) -> Error {
    let text = match &*err.kind {
        mongodb::error::ErrorKind::InvalidArgument { message, .. } => message.as_str(),
        _ => "",
    };
    let rest = uri.split_once("//").map_or(uri, |(_, rest)| rest);
    let before_host = rest.rsplit_once('@').map_or("", |(before, _)| before);
    let values = rest.split(['?', '&']).filter_map(|option| option.split_once('='));
    let mut secrets = values
        .map(|(_, value)| value)
        .chain([before_host])
        .flat_map(|part| part.split([':', ',', '/', '?', '&', '=', '@', '%']));
    // The driver repeats options in lower case.
    let lower = text.to_lowercase();
    let tells = secrets.any(|secret| !secret.is_empty() && lower.contains(&secret.to_lowercase()));
    let message = if text.is_empty() || tells {
        "the driver refuses the URI; compare it with mongodb://user:password@host:27017/app, and \
         percent-encode what is special in names and passwords"
            .to_owned()
    } else {
        format!("the driver refuses the URI: {text}")
    };
    error::new(ErrorKind::InvalidConfig, Operation::Configure, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(uri: &str) -> String {
        let err = parse(&MongoConfig::new(uri)).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidConfig, "{err}");
        assert_eq!(err.backend(), error::NAME);
        err.to_string()
    }

    #[test]
    fn a_wrong_option_is_named() {
        let text = refusal("mongodb://user:hunter2@host/app?replcaSet=rs0");
        assert!(text.contains("replcaset") && text.contains("replicaset"), "{text}");
    }

    #[test]
    fn no_part_of_a_password_is_repeated() {
        for uri in [
            "mongodb://user:hunter2@host/app?w=hunter2&w=hunter2",
            "mongodb://user:hunt?er2@host/app",
            "mongodb://user:2024?hunter2&x@host/app",
            "mongodb://user:2024?hunter2=x@host/app",
            "mongodb://user:2024?Hunter2=1&x@host/app",
            "mongodb://user:20/24?hunter2=1@host/app",
            "mongodb://host/app?tls=Hunter2",
            "mongodb://user:hunt/er2@host/app",
            "mongodb://user:hunter2%@host/app",
            "mongodb://user:hunter2@host:port/app",
            "mongodb://host/app?authMechanismProperties=hunter2",
            "mongodb://user:hunter2@host/app?tls=hunter2",
            "mongodb://user:hunter2@host/app?wtimeoutMS=hunter2",
            "mysql://user:hunter2@host/app",
        ] {
            let text = refusal(uri);
            assert!(!text.to_lowercase().contains("hunt") && !text.contains("er2"), "{text}");
        }
    }

    #[test]
    fn a_question_mark_in_a_password_is_to_be_encoded() {
        let text = refusal("mongodb://ann:2024?Spring=1&x@host/app");
        assert!(text.contains("percent-encode `?`") && !text.contains("Spring"), "{text}");
        assert!(parse(&MongoConfig::new("mongodb://ann:2024%3FSpring@host/app")).is_ok());
    }

    #[test]
    fn a_server_is_named() {
        let err = parse(&MongoConfig::default()).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidConfig);
        assert!(err.to_string().contains("mongodb://"), "{err}");
    }

    #[test]
    fn a_database_is_named_and_writes_are_acknowledged() {
        assert!(refusal("mongodb://host").contains("database"));
        assert!(refusal("mongodb://host/?w=1").contains("database"));
        assert!(refusal("mongodb://host/a$b").contains("database"));
        assert!(refusal("mongodb://host/app?w=0").contains("w=0"));
        assert!(parse(&MongoConfig::new("mongodb://host").with_database("app")).is_ok());
        assert!(parse(&MongoConfig::new("mongodb://a:1,b:2/app?replicaSet=rs0")).is_ok());
    }

    #[cfg(not(feature = "dns"))]
    #[test]
    fn a_uri_that_needs_the_dns_names_the_feature() {
        assert!(refusal("mongodb+srv://host/app").contains("`dns`"));
    }
}
