//! What is stored, and what is not taken for a session.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Document, doc};
use session_core::{
    Bytes, ErrorKind, Owner, PageRequest, SessionHandler, SessionIndex, SessionKey, Version,
};
use session_mongo::MongoConfig;
use session_tests::servers::Shared;
use tokio::sync::Barrier;

use crate::support::*;

fn binary(bytes: &[u8]) -> Bson {
    Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() })
}

fn by_key(key: &SessionKey) -> Document {
    doc! { "_id": binary(key.as_bytes()) }
}

#[tokio::test]
async fn a_document_has_the_fields_that_the_readme_lists() {
    let (handler, sessions) = with_collection(Shared::MongoDb).await;
    let options = creating().with_absolute(2 * LONG).with_owner(Owner::new("$ann").unwrap());
    // The first creation lets the server compute, the others are inserts.
    for round in 0..3 {
        let key = fresh_key();
        let payload = Bytes::from_static(b"\0{$set: 1}");
        let version = handler.write(&key, payload.clone(), &options).await.unwrap();
        assert!(handler.read(&key).await.unwrap().is_some());
        let document = sessions.find_one(by_key(&key)).await.unwrap().unwrap();
        let names: BTreeSet<_> = document.keys().map(String::as_str).collect();
        let expected = ["_id", "v", "exp", "abs", "created", "touched", "owner", "data"];
        assert_eq!(names, expected.into(), "creation {round}");
        assert_eq!(document.get_i64("v").unwrap(), version.as_counter().unwrap().cast_signed());
        assert_eq!(document.get("data"), Some(&binary(&payload)));
        assert_eq!(document.get("owner"), Some(&binary(b"$ann")));
        let date = |name| document.get_datetime(name).unwrap().timestamp_millis();
        assert_eq!(date("exp") - date("touched"), 3_600_000);
        assert_eq!(date("abs") - date("touched"), 7_200_000);
        assert_eq!(date("created"), date("touched"));
    }
}

#[tokio::test]
async fn a_plain_session_has_no_more_than_it_needs() {
    let (handler, sessions) = with_collection(Shared::MongoDb).await;
    for _ in 0..2 {
        let (key, version) = create(&handler).await;
        let version = handler.write(&key, Bytes::new(), &at(version)).await.unwrap();
        handler.write(&key, Bytes::new(), &at(version)).await.unwrap();
        assert!(handler.read(&key).await.unwrap().is_some());
        let document = sessions.find_one(by_key(&key)).await.unwrap().unwrap();
        let names: Vec<_> = document.keys().map(String::as_str).collect();
        assert_eq!(names, ["_id", "v", "exp", "created", "touched", "data"]);
    }
}

#[tokio::test]
async fn what_looks_like_an_operator_is_only_bytes() {
    let handler = shared(Shared::MongoDb).await;
    let texts = ["$$ROOT", "$_id", "{\"$gt\": \"\"}", "a.b", "$", ".", "\0", "$expr", "$where"];
    for text in texts {
        let mut bytes = [0; 32];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        bytes[24..].copy_from_slice(&fastrand::u64(..).to_le_bytes());
        let key = SessionKey::from_bytes(bytes);
        let owner = Owner::new(text).unwrap();
        let create = creating().with_owner(owner.clone());
        handler.write(&key, text.into(), &create).await.unwrap();
        let replace = replacing().with_owner(owner.clone());
        handler.write(&key, text.into(), &replace).await.unwrap();
        assert!(handler.touch(&key, 2 * LONG).await.unwrap());
        assert_eq!(handler.read(&key).await.unwrap().unwrap().payload, text);
        let page = handler.sessions(&owner, &PageRequest::first(10)).await.unwrap();
        assert_eq!(page.items.iter().map(|meta| meta.key).collect::<Vec<_>>(), [key]);
        assert_eq!(page.items[0].owner.as_ref(), Some(&owner));
        assert_eq!(handler.revoke(&owner, None).await.unwrap(), 1);
    }
}

/// No key of another type is a key, and no payload that is nested is one.
#[tokio::test]
async fn documents_of_others_are_no_sessions() {
    let (handler, sessions) = with_collection(Shared::MongoDb).await;
    let key = fresh_key();
    let (text, later) = (key.to_string(), DateTime::from_millis(i64::MAX / 2));
    let mut deep = doc! { "end": true };
    for _ in 0..90 {
        deep = doc! { "deeper": deep };
    }
    let uuid = Bson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes: vec![7; 16] });
    for id in [Bson::String(text), uuid, doc! { "binary": 1 }.into(), Bson::Int64(0)] {
        let foreign = doc! { "_id": id, "v": 1_i64, "exp": later, "data": binary(b"foreign") };
        sessions.insert_one(foreign).await.unwrap();
    }
    assert!(handler.read(&key).await.unwrap().is_none());
    handler.write(&key, "own".into(), &creating()).await.unwrap();
    assert_eq!(handler.read(&key).await.unwrap().unwrap().payload, "own");
    let damage = [
        doc! { "$set": { "data": "text" } },
        doc! { "$set": { "data": deep } },
        doc! { "$unset": { "data": 1 } },
        doc! { "$set": { "data": binary(b"right"), "v": "one" } },
        doc! { "$set": { "v": 1_i64, "exp": "2999-01-01T00:00:00Z" } },
        doc! { "$unset": { "exp": 1 } },
    ];
    for change in damage {
        sessions.update_one(by_key(&key), change.clone()).await.unwrap();
        let err = handler.read(&key).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Corrupt, "{change}");
        assert!(!told(&err).contains("foreign"));
    }
}

#[tokio::test]
async fn what_does_not_verify_is_neither_overwritten_nor_kept_from_being_ended() {
    let (handler, sessions) = with_collection(Shared::MongoDb).await;
    let (key, version) = create(&handler).await;
    let damage = doc! { "$set": { "exp": "2999-01-01T00:00:00Z" } };
    sessions.update_one(by_key(&key), damage).await.unwrap();
    let before = sessions.find_one(by_key(&key)).await.unwrap();
    let write = async |options| handler.write(&key, "new".into(), &options).await.unwrap_err();
    assert_eq!(write(creating()).await.kind(), ErrorKind::AlreadyExists);
    assert_eq!(write(replacing()).await.kind(), ErrorKind::Corrupt);
    assert_eq!(write(at(version.clone())).await.kind(), ErrorKind::Corrupt);
    assert_eq!(handler.touch(&key, LONG).await.unwrap_err().kind(), ErrorKind::Corrupt);
    let err = handler.destroy(&key, Some(&version)).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Corrupt);
    let report = handler.gc(&session_core::GcRequest::default()).await.unwrap();
    assert_eq!(report.removed, 0);
    assert_eq!(sessions.find_one(by_key(&key)).await.unwrap(), before);
    assert!(handler.destroy(&key, None).await.unwrap());
    assert!(handler.read(&key).await.unwrap().is_none());
}

#[tokio::test]
async fn a_late_save_leaves_no_document() {
    let (handler, sessions) = with_collection(Shared::MongoDbReplicaSet).await;
    let (key, version) = create(&handler).await;
    assert!(handler.destroy(&key, None).await.unwrap());
    for options in [replacing(), at(version), at(Version::counter(u64::MAX))] {
        let err = handler.write(&key, "late".into(), &options).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Gone);
    }
    assert!(!handler.touch(&key, LONG).await.unwrap());
    assert_eq!(sessions.count_documents(doc! {}).await.unwrap(), 0);
}

/// Creations of one key at one moment, when there is nothing, and when there is
/// a record that has expired: one wins, and the others hear that it is taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn storms_of_creations_make_one_session_and_no_other_error() {
    for server in [Shared::MongoDb, Shared::MongoDbReplicaSet] {
        let (handler, sessions) = with_collection(server).await;
        let barrier = Arc::new(Barrier::new(64));
        let keys: Vec<_> = (0..4).map(|_| fresh_key()).collect();
        for round in 0..3 {
            let tasks = (0..64).map(|task| {
                let (handler, barrier) = (handler.clone(), Arc::clone(&barrier));
                let key = keys[task % 4];
                tokio::spawn(async move {
                    barrier.wait().await;
                    // The sessions of the first rounds are over at once.
                    let mut options = creating();
                    options.idle = if round < 2 { Duration::ZERO } else { LONG };
                    let created = handler.write(&key, "one".into(), &options).await;
                    let saved = match &created {
                        Ok(version) => {
                            Some(handler.write(&key, "two".into(), &at(version.clone())).await)
                        }
                        Err(_) => None,
                    };
                    (created, saved)
                })
            });
            let results: Vec<_> = join_all(tasks).await.into_iter().map(Result::unwrap).collect();
            let won = results.iter().filter(|(created, _)| created.is_ok()).count();
            if round == 2 {
                assert_eq!(won, 4, "one for each key");
            }
            for (created, saved) in results {
                if let Err(err) = created {
                    assert_eq!(err.kind(), ErrorKind::AlreadyExists, "{err}");
                    assert!(!err.is_indeterminate());
                }
                if round == 2
                    && let Some(saved) = saved
                {
                    saved.unwrap();
                }
            }
        }
        assert_eq!(sessions.count_documents(doc! {}).await.unwrap(), 4);
    }
}

#[tokio::test]
async fn what_does_not_fit_is_refused_before_it_is_sent() {
    let config = patient(&Shared::MongoDb.url());
    let largest = 16 * 1024 * 1024 - 16 * 1024;
    let sessions = collection(&config).await;
    let handler = open(config.with_max_record_bytes(largest)).await;
    for _ in 0..2 {
        let key = fresh_key();
        // With everything that a document may hold besides.
        let options = |options: session_core::WriteOptions| {
            options.with_absolute(LONG).with_owner(Owner::new("x".repeat(255)).unwrap())
        };
        let payload = Bytes::from(vec![7; largest]);
        handler.write(&key, payload.clone(), &options(creating())).await.unwrap();
        handler.write(&key, payload.clone(), &options(replacing())).await.unwrap();
        assert!(handler.read(&key).await.unwrap().unwrap().payload == payload);
    }
    let before = sessions.count_documents(doc! {}).await.unwrap();
    let over = Bytes::from(vec![7; largest + 1]);
    let err = handler.write(&fresh_key(), over, &creating()).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::TooLarge);
    assert!(!err.is_indeterminate());
    assert_eq!(sessions.count_documents(doc! {}).await.unwrap(), before);
    // Nothing listens there: whoever sent anything would hear of it.
    let deaf = MongoConfig::new("mongodb://127.0.0.1:1/app");
    let handler = session_mongo::MongoHandler::new(deaf).unwrap();
    let over = Bytes::from(vec![7; 4 * 1024 * 1024 + 1]);
    let err = handler.write(&fresh_key(), over, &creating()).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::TooLarge);
}
