//! A replica set that loses its primary.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mongodb::bson::doc;
use session_core::{ErrorKind, SessionHandler, SessionKey, WriteMode};
use session_mongo::MongoHandler;
use session_tests::servers::{MongoReplicaSet, Shared};

use crate::outages::{count_up, number, read_number, with_option};
use crate::support::*;

/// What one client saw of its session.
struct Seen {
    key: SessionKey,
    acknowledged: u64,
    unknown: u64,
    /// Sessions that were created and then acknowledged to be destroyed.
    destroyed: Vec<SessionKey>,
}

/// Traffic of several clients, each with a session of its own.
struct Traffic {
    over: Arc<AtomicBool>,
    made: Arc<AtomicU64>,
    clients: Vec<tokio::task::JoinHandle<Seen>>,
}

impl Traffic {
    fn start(handler: &MongoHandler) -> Self {
        let (over, made) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let client = |_| {
            let (handler, over, made) = (handler.clone(), Arc::clone(&over), Arc::clone(&made));
            tokio::spawn(client(handler, over, made))
        };
        let clients = (0..6).map(client).collect();
        Self { over, made, clients }
    }

    /// Waits until so much more has been acknowledged.
    async fn goes_on(&self) {
        let before = self.made.load(Ordering::SeqCst);
        while self.made.load(Ordering::SeqCst) < before + 60 {
            assert!(
                !self.clients.iter().any(tokio::task::JoinHandle::is_finished),
                "a client failed"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn end(self) -> Vec<Seen> {
        self.over.store(true, Ordering::SeqCst);
        let mut seen = Vec::new();
        for client in self.clients {
            seen.push(client.await.unwrap());
        }
        seen
    }
}

async fn client(handler: MongoHandler, over: Arc<AtomicBool>, made: Arc<AtomicU64>) -> Seen {
    let key = fresh_key();
    handler.write(&key, number(0), &creating()).await.unwrap();
    let mut seen = Seen { key, acknowledged: 0, unknown: 0, destroyed: Vec::new() };
    while !over.load(Ordering::SeqCst) {
        match count_up(&handler, &key).await {
            Ok(()) => {
                seen.acknowledged += 1;
                made.fetch_add(1, Ordering::SeqCst);
            }
            Err(err) if err.is_indeterminate() => seen.unknown += 1,
            // A late copy of a write whose reply was lost.
            Err(err) if err.kind() == ErrorKind::Conflict && seen.unknown > 0 => {}
            Err(err) => assert!(err.kind().is_outage(), "{err}"),
        }
        let brief = fresh_key();
        if handler.write(&brief, tag(&brief), &creating()).await.is_ok()
            && matches!(handler.destroy(&brief, None).await, Ok(true))
        {
            seen.destroyed.push(brief);
            made.fetch_add(1, Ordering::SeqCst);
        }
    }
    seen
}

/// Expects that everything acknowledged is there, and nothing happened twice.
async fn check(handler: &MongoHandler, seen: Vec<Seen>) {
    for Seen { key, acknowledged, unknown, destroyed } in seen {
        let stored = read_number(handler, &key).await;
        assert!(
            (acknowledged..=acknowledged + unknown).contains(&stored),
            "{stored} of {acknowledged} acknowledged and {unknown} unknown"
        );
        for key in destroyed {
            assert!(handler.read(&key).await.unwrap().is_none(), "a logout was undone");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_steps_down_takes_nothing_along() {
    let set = MongoReplicaSet::mongodb().start().await.unwrap();
    let handler = open(patient(&set.url()).with_database("tests")).await;
    let traffic = Traffic::start(&handler);
    traffic.goes_on().await;
    set.step_down().await.unwrap();
    traffic.goes_on().await;
    check(&handler, traffic.end().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_is_killed_takes_nothing_acknowledged_along() {
    let set = MongoReplicaSet::mongodb().start().await.unwrap();
    let handler = open(patient(&set.url()).with_database("tests")).await;
    let traffic = Traffic::start(&handler);
    traffic.goes_on().await;
    set.settled().await.unwrap();
    let old = set.primary().await.unwrap();
    set.members()[old].process().kill();
    set.primary_after(old).await.unwrap();
    traffic.goes_on().await;
    set.members()[old].restart().await.unwrap();
    traffic.goes_on().await;
    let seen = traffic.end().await;
    assert!(seen.iter().any(|seen| !seen.destroyed.is_empty()));
    check(&handler, seen).await;
}

#[tokio::test]
async fn a_set_that_is_down_is_answered_for_in_time() {
    let set = MongoReplicaSet::mongodb().start().await.unwrap();
    let handler = default(&set.url()).await;
    let (key, _) = create(&handler).await;
    for member in set.members() {
        member.process().kill();
    }
    let begin = Instant::now();
    let read = handler.read(&key).await.unwrap_err();
    assert!(begin.elapsed() < DEADLINE + LATE, "{read}");
    let begin = Instant::now();
    let write = handler.write(&key, tag(&key), &replacing()).await.unwrap_err();
    assert!(begin.elapsed() < DEADLINE + LATE, "{write}");
    assert!(read.kind().is_outage() && write.kind().is_outage());
}

/// Writes that a minority cannot confirm are unknown, and the caller hears of it in time.
#[tokio::test]
async fn a_write_that_no_majority_confirms_is_not_acknowledged() {
    let set = MongoReplicaSet::mongodb().start().await.unwrap();
    let handler = default(&set.url()).await;
    let (key, version) = create(&handler).await;
    set.settled().await.unwrap();
    let primary = set.primary().await.unwrap();
    let others = || (0..3).filter(|index| *index != primary).map(|index| &set.members()[index]);
    others().for_each(|member| member.process().stop());
    let begin = Instant::now();
    let err = handler.write(&key, tag(&key), &at(version)).await.unwrap_err();
    assert!(begin.elapsed() < DEADLINE + LATE);
    assert!(err.kind().is_outage() && err.is_indeterminate(), "{err}");
    let err = handler.destroy(&key, None).await.unwrap_err();
    assert!(err.kind().is_outage(), "{err}");
    others().for_each(|member| member.process().resume());
    set.settled().await.unwrap();
    while handler.read(&key).await.is_err() {}
}

/// Lets the primary stay what it is for a minute without a majority.
async fn stay_primary(set: &MongoReplicaSet) {
    set.settled().await.unwrap();
    let primary = &set.members()[set.primary().await.unwrap()];
    let reply = primary.command(doc! { "replSetGetConfig": 1 }).await.unwrap();
    let mut config = reply.get_document("config").unwrap().clone();
    let version = config.get_i32("version").unwrap();
    config.insert("version", version + 1);
    config.get_document_mut("settings").unwrap().insert("electionTimeoutMillis", 60_000);
    primary.command(doc! { "replSetReconfig": config }).await.unwrap();
}

/// By default reads see everything, the unconfirmed too; who asks for what the
/// majority has confirmed does not.
#[tokio::test]
async fn a_write_that_no_majority_confirms_is_shown_by_default() {
    let set = MongoReplicaSet::mongodb().start().await.unwrap();
    stay_primary(&set).await;
    let handler = default(&set.url()).await;
    let careful = default(&with_option(&set.url(), "readConcernLevel=majority")).await;
    let (key, version) = create(&handler).await;
    let old = careful.read(&key).await.unwrap().unwrap();
    set.settled().await.unwrap();
    let primary = set.primary().await.unwrap();
    let others = || (0..3).filter(|index| *index != primary).map(|index| &set.members()[index]);
    others().for_each(|member| member.process().stop());
    let write = handler.write(&key, "new".into(), &at(version)).await;
    assert!(write.unwrap_err().is_indeterminate());
    assert_eq!(handler.read(&key).await.unwrap().unwrap().payload, "new");
    assert_eq!(careful.read(&key).await.unwrap().unwrap().payload, old.payload);
    others().for_each(|member| member.process().resume());
    set.settled().await.unwrap();
}

/// The reply of a write is lost after the write was made. The driver asks again
/// under the same number, and the server answers what it answered before.
#[tokio::test]
async fn a_write_whose_reply_is_lost_is_made_once() {
    let set = MongoReplicaSet::mongodb().fail_points().start().await.unwrap();
    let handler = open(patient(&set.url()).with_database("tests")).await;
    let (key, version) = create(&handler).await;
    assert!(handler.read(&key).await.unwrap().is_some());
    let lose_reply = async || {
        set.settled().await.unwrap();
        let primary = &set.members()[set.primary().await.unwrap()];
        let point = doc! {
            "configureFailPoint": "onPrimaryTransactionalWrite",
            "mode": { "times": 1 },
            "data": { "closeConnection": true },
        };
        primary.command(point).await.unwrap();
    };
    lose_reply().await;
    let version = handler.write(&key, "two".into(), &at(version)).await.unwrap();
    assert_eq!(handler.read(&key).await.unwrap().unwrap().version, version);
    lose_reply().await;
    let created = fresh_key();
    handler.write(&created, tag(&created), &creating()).await.unwrap();
    assert_eq!(handler.read(&created).await.unwrap().unwrap().payload, tag(&created));
    lose_reply().await;
    assert!(handler.destroy(&created, None).await.unwrap());
    lose_reply().await;
    let mut brief = at(version);
    brief.mode = WriteMode::Replace;
    handler.write(&key, "three".into(), &brief).await.unwrap();
    assert_eq!(handler.read(&key).await.unwrap().unwrap().payload, "three");
}

/// Reads by which no stale server is believed, and reads that prefer one that may
/// lag: both are the URI's choice, and writes do not depend on it.
#[tokio::test]
async fn the_uri_chooses_how_reads_are_made() {
    let url = Shared::MongoDbReplicaSet.url();
    for option in ["readConcernLevel=linearizable", "readPreference=secondary"] {
        let handler = open(patient(&with_option(&url, option))).await;
        let (key, stale) = create(&handler).await;
        let version = handler.write(&key, tag(&key), &at(stale.clone())).await.unwrap();
        while handler.read(&key).await.unwrap().is_none_or(|stored| stored.version != version) {
            assert_ne!(option, "readConcernLevel=linearizable", "a stale read");
        }
        let err = handler.write(&key, tag(&key), &at(stale)).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Conflict);
        assert!(handler.destroy(&key, Some(&version)).await.unwrap());
        let err = handler.write(&key, tag(&key), &replacing()).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Gone);
    }
}
