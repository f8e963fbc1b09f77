//! Users, rights and TLS.

use std::time::Instant;

use mongodb::bson::doc;
use session_core::{ErrorKind, SessionHandler};
use session_mongo::{Indexes, MongoConfig, MongoHandler};
use session_tests::servers::{Authority, Certificate, Mongo, PASSWORD};

use crate::outages::with_option;
use crate::support::*;

/// Makes a user who may do these things to all collections of `tests`, and
/// returns its URI.
async fn user(mongo: &Mongo, name: &str, actions: &[&str]) -> String {
    let database = mongo.direct().unwrap().database("admin");
    let privilege = doc! { "resource": { "db": "tests", "collection": "" }, "actions": actions };
    let role = doc! { "createRole": name, "privileges": [privilege], "roles": [] };
    database.run_command(role).await.unwrap();
    mongo.user(name, vec![doc! { "role": name, "db": "admin" }]).await.unwrap();
    mongo.url_of(name)
}

const MINIMAL: [&str; 4] = ["find", "insert", "update", "remove"];

/// The whole contract, by a user with the rights that the README lists.
#[test]
fn the_least_rights_are_enough() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (mongo, url) = runtime.block_on(async {
        let mongo = Mongo::mongodb().auth().start().await.unwrap();
        let actions = [&MINIMAL[..], &["createIndex", "listIndexes"]].concat();
        let url = user(&mongo, "least", &actions).await;
        (mongo, url)
    });
    holds_the_contract(|| patient(&url).with_database("tests").with_collection(fresh_name()));
    drop(mongo);
}

#[tokio::test]
async fn a_user_who_makes_no_indexes_uses_those_that_are_there() {
    let mongo = Mongo::mongodb().auth().start().await.unwrap();
    let config = MongoConfig::new(user(&mongo, "writer", &MINIMAL).await);
    let err = MongoHandler::new(config.clone()).unwrap().open().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    assert!(err.to_string().contains("createIndex"), "{err}");
    assert!(!told(&err).contains(PASSWORD));
    open(MongoConfig::new(mongo.url())).await;
    let lister = user(&mongo, "lister", &[&MINIMAL[..], &["listIndexes"]].concat()).await;
    let checked = MongoConfig::new(lister).with_indexes(Indexes::Check);
    for config in [config.with_indexes(Indexes::Ignore), checked] {
        create(&open(config).await).await;
    }
}

#[tokio::test]
async fn a_right_that_is_missing_is_told() {
    let mongo = Mongo::mongodb().auth().start().await.unwrap();
    let url = user(&mongo, "reader", &["find"]).await;
    let handler = open(MongoConfig::new(url).with_indexes(Indexes::Ignore)).await;
    let key = fresh_key();
    assert!(handler.read(&key).await.unwrap().is_none());
    let err = handler.write(&key, tag(&key), &creating()).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::PermissionDenied);
    assert!(err.to_string().contains("rights") && !err.is_indeterminate(), "{err}");
    assert!(!told(&err).contains(&key.to_string()));
    let err = handler.destroy(&key, None).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::PermissionDenied);
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_never_shown() {
    let mongo = Mongo::mongodb().auth().start().await.unwrap();
    let right = user(&mongo, "least", &[&MINIMAL[..], &["createIndex"]].concat()).await;
    let wrong = right.replace(PASSWORD, "hunter2");
    let handler = MongoHandler::new(MongoConfig::new(wrong)).unwrap();
    let err = handler.open().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::PermissionDenied, "{err}");
    for secret in ["hunter2", PASSWORD] {
        assert!(!told(&err).contains(secret) && !format!("{handler:?}").contains(secret));
    }
    let nobody = mongo.url_of("nobody");
    let err = MongoHandler::new(MongoConfig::new(nobody)).unwrap().open().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::PermissionDenied);
    assert!(!told(&err).contains(PASSWORD));
}

/// The password changes under a running program, and changes back.
#[tokio::test]
async fn a_password_that_changes_locks_out_until_it_is_right_again() {
    let mongo = Mongo::mongodb().auth().start().await.unwrap();
    let url = user(&mongo, "least", &[&MINIMAL[..], &["createIndex"]].concat()).await;
    let handler = open(patient(&url).with_database("tests")).await;
    let (key, _) = create(&handler).await;
    let change = async |password: &str| {
        mongo.command(doc! { "updateUser": "least", "pwd": password }).await.unwrap();
    };
    change("another").await;
    // Connections that are open stay good; new ones are not.
    mongo.process().shutdown().await.unwrap();
    mongo.restart().await.unwrap();
    let err = handler.read(&key).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::PermissionDenied, "{err}");
    assert!(!told(&err).contains(PASSWORD));
    change(PASSWORD).await;
    assert!(handler.read(&key).await.unwrap().is_some());
}

/// Returns what comes of connecting, and that it came in time.
async fn connecting(url: &str) -> session_core::Result<()> {
    let begin = Instant::now();
    let result = MongoHandler::new(MongoConfig::new(url)).unwrap().open().await;
    assert!(begin.elapsed() < DEADLINE + LATE);
    result
}

#[tokio::test]
async fn tls_is_never_given_up() {
    let authority = Authority::new().unwrap();
    let plain = Mongo::mongodb().start().await.unwrap();
    let ca = format!("tls=true&tlsCAFile={}", authority.file().display());
    connecting(&plain.url()).await.unwrap();
    connecting(&with_option(&plain.url(), &ca)).await.unwrap_err();
    for (which, works) in
        [(Certificate::Good, true), (Certificate::OtherHost, false), (Certificate::Expired, false)]
    {
        let mut builder = Mongo::mongodb().tls(&authority, which);
        if which == Certificate::Expired {
            // A server does not start with a certificate that it knows to be over.
            builder = builder.time("@2000-06-01 00:00:00");
        }
        let mongo = builder.start().await.unwrap();
        let bare = format!("mongodb://{}/tests", mongo.address());
        let result = connecting(&with_option(&bare, &ca)).await;
        assert_eq!(result.is_ok(), works, "{which:?}: {result:?}");
        if let Err(err) = result {
            assert!(err.kind().is_outage());
            assert!(err.to_string().contains("certificate"), "{err}");
        }
        // Without TLS, and with an authority that nobody told of.
        connecting(&bare).await.unwrap_err();
        connecting(&with_option(&bare, "tls=true")).await.unwrap_err();
    }
    let missing = with_option(&plain.url(), "tls=true&tlsCAFile=/nowhere/ca.pem");
    let err = connecting(&missing).await.unwrap_err();
    assert!(err.to_string().contains("tlsCAFile"), "{err}");
}
