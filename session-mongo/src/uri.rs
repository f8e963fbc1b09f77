//! The driver's connection string: read, and refused without being repeated.

use mongodb::options::ConnectionString;
use session_core::{Error, Result};

use crate::client::refuse_unacknowledged;
use crate::config::{MongoConfig, is_database};
use crate::error::invalid;

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
    invalid(message)
}

#[cfg(test)]
mod tests {
    use session_core::ErrorKind;

    use super::*;
    use crate::error::NAME;

    fn refusal(uri: &str) -> String {
        let err = parse(&MongoConfig::new(uri)).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidConfig, "{err}");
        assert_eq!(err.backend(), NAME);
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
