//! What a call costs, counted on the server.

use mongodb::bson::{Document, doc};
use session_core::{SessionHandler, SessionLocker};
use session_tests::servers::Mongo;

use crate::support::*;

/// Counts the commands of a call by the server's profile of our collections.
pub(crate) async fn commands(mongo: &Mongo, call: impl Future<Output = ()>) -> Vec<Document> {
    let database = mongo.direct().unwrap().database("tests");
    let profile = database.collection::<Document>("system.profile");
    database.run_command(doc! { "profile": 0 }).await.unwrap();
    profile.drop().await.unwrap();
    database.run_command(doc! { "profile": 2 }).await.unwrap();
    call.await;
    database.run_command(doc! { "profile": 0 }).await.unwrap();
    let ours = doc! { "ns": { "$regex": "^tests[.]sessions" } };
    let mut cursor = profile.find(ours).await.unwrap();
    let mut commands = Vec::new();
    while cursor.advance().await.unwrap() {
        commands.push(cursor.deserialize_current().unwrap());
    }
    commands
}

pub(crate) fn kinds(commands: &[Document]) -> Vec<&str> {
    commands.iter().map(|command| command.get_str("op").unwrap()).collect()
}

/// Returns the kinds of the commands of a call, one after the other.
async fn sent(mongo: &Mongo, call: impl Future<Output = ()>) -> String {
    kinds(&commands(mongo, call).await).join(" ")
}

#[tokio::test]
async fn a_read_is_one_command() {
    let mongo = Mongo::mongodb().start().await.unwrap();
    let handler = default(&mongo.url()).await;
    let (key, _) = create(&handler).await;
    let read = async { assert!(handler.read(&key).await.unwrap().is_some()) };
    assert_eq!(sent(&mongo, read).await, "query");
    let absent = async { assert!(handler.read(&fresh_key()).await.unwrap().is_none()) };
    assert_eq!(sent(&mongo, absent).await, "query");
}

/// An insert needs the server's time, which a read tells.
#[tokio::test]
async fn a_creation_is_one_command() {
    let mongo = Mongo::mongodb().start().await.unwrap();
    let handler = default(&mongo.url()).await;
    assert_eq!(sent(&mongo, async { drop(create(&handler).await) }).await, "update");
    let (key, _) = create(&handler).await;
    handler.read(&key).await.unwrap().unwrap();
    assert_eq!(sent(&mongo, async { drop(create(&handler).await) }).await, "insert");
}

#[tokio::test]
async fn a_write_is_one_command() {
    let mongo = Mongo::mongodb().start().await.unwrap();
    let handler = default(&mongo.url()).await;
    let (key, version) = create(&handler).await;
    let write = async {
        handler.write(&key, tag(&key), &at(version)).await.unwrap();
    };
    assert_eq!(sent(&mongo, write).await, "update");
}

#[tokio::test]
async fn a_touch_is_one_command() {
    let mongo = Mongo::mongodb().start().await.unwrap();
    let handler = default(&mongo.url()).await;
    let (key, _) = create(&handler).await;
    let touch = async { assert!(handler.touch(&key, 2 * LONG).await.unwrap()) };
    assert_eq!(sent(&mongo, touch).await, "update");
    let absent = async { assert!(!handler.touch(&fresh_key(), LONG).await.unwrap()) };
    assert_eq!(sent(&mongo, absent).await, "update");
}

#[tokio::test]
async fn a_logout_is_one_command() {
    let mongo = Mongo::mongodb().start().await.unwrap();
    let handler = default(&mongo.url()).await;
    let ((key, _), (other, version)) = (create(&handler).await, create(&handler).await);
    let destroy = async { assert!(handler.destroy(&key, None).await.unwrap()) };
    assert_eq!(sent(&mongo, destroy).await, "remove");
    let at_version = async { assert!(handler.destroy(&other, Some(&version)).await.unwrap()) };
    assert_eq!(sent(&mongo, at_version).await, "remove");
    let absent = async { assert!(!handler.destroy(&key, None).await.unwrap()) };
    assert_eq!(sent(&mongo, absent).await, "remove");
}

#[tokio::test]
async fn a_lock_is_two_commands_and_its_end_is_one() {
    let mongo = Mongo::mongodb().start().await.unwrap();
    let handler = default(&mongo.url()).await;
    let key = fresh_key();
    let mut token = None;
    let lock = async { token = handler.try_lock(&key, LONG).await.unwrap() };
    assert_eq!(sent(&mongo, lock).await, "command update");
    let unlock = async { assert!(handler.unlock(&key, token.unwrap()).await.unwrap()) };
    assert_eq!(sent(&mongo, unlock).await, "update");
}

/// Reads and updates are looked up by the key without planning, and nothing
/// looks at more than one document.
#[tokio::test]
async fn a_session_is_found_by_its_key_among_many() {
    let mongo = Mongo::mongodb().start().await.unwrap();
    let handler = default(&mongo.url()).await;
    for _ in 0..50 {
        create(&handler).await;
    }
    let (key, _) = create(&handler).await;
    let seen = commands(&mongo, async {
        let version = handler.read(&key).await.unwrap().unwrap().version;
        let version = handler.write(&key, tag(&key), &at(version)).await.unwrap();
        assert!(handler.touch(&key, 2 * LONG).await.unwrap());
        assert!(handler.destroy(&key, Some(&version)).await.unwrap());
    })
    .await;
    assert_eq!(kinds(&seen), ["query", "update", "update", "remove"]);
    for command in &seen {
        let number = |name| command.get_i32(name).unwrap();
        assert_eq!((number("keysExamined"), number("docsExamined")), (1, 1), "{command}");
        let plan = command.get_str("planSummary").unwrap();
        let expected = if kinds(std::slice::from_ref(command)) == ["remove"] {
            "IXSCAN { _id: 1 }"
        } else {
            "IDHACK"
        };
        assert_eq!(plan, expected);
    }
}

#[tokio::test]
async fn owners_and_the_expired_are_found_by_an_index() {
    let mongo = Mongo::mongodb().start().await.unwrap();
    let handler = default(&mongo.url()).await;
    let owner = session_core::Owner::new("ann").unwrap();
    for number in 0..60 {
        let mut options = creating();
        if number < 5 {
            options = options.with_owner(owner.clone());
        }
        if number >= 57 {
            options.idle = std::time::Duration::ZERO;
        }
        handler.write(&fresh_key(), "one".into(), &options).await.unwrap();
    }
    let seen = commands(&mongo, async {
        let report = handler.gc(&session_core::GcRequest::default()).await.unwrap();
        assert_eq!((report.removed, report.scanned), (3, 3));
        let index = handler.index().unwrap();
        assert_eq!(index.revoke(&owner, None).await.unwrap(), 5);
    })
    .await;
    for command in seen {
        assert!(command.get_i32("docsExamined").unwrap() <= 5, "{command}");
    }
}
