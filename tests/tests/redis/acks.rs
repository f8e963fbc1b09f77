//! Replicas that must confirm what is done, and do not.

use std::time::{Duration, Instant};

use session_core::{Error, Owner, Result, SessionHandler};
use session_redis::{RedisConfig, RedisHandler};
use session_tests::proxy::{Direction, Fault, Proxy};
use session_tests::servers::{Redis, RedisBuilder};

use crate::support::*;

/// A primary with a replica.
struct Pair {
    primary: Redis,
    replica: Redis,
}

impl Pair {
    async fn start(builder: RedisBuilder) -> Self {
        let builder = builder.config("repl-diskless-sync-delay 0");
        let primary = builder.clone().start().await.unwrap();
        let follow = format!("replicaof 127.0.0.1 {}", primary.address().port());
        let replica = builder.config(&follow).start().await.unwrap();
        Self { primary, replica }
    }

    fn handler(&self) -> RedisHandler {
        with_acks(self.primary.url())
    }

    /// Returns a handler that waits for nobody.
    fn plain(&self) -> RedisHandler {
        handler(&self.primary.url())
    }

    /// Waits until the replica has all that was written.
    async fn caught_up(&self) {
        let handler = self.handler();
        confirmed(async || write(&handler, &fresh_key(), "last", &creating()).await).await;
    }

    async fn owners(&self) -> usize {
        self.primary.query::<Vec<String>>(&["KEYS", "session:owner:*"]).await.unwrap().len()
    }
}

fn with_acks(url: String) -> RedisHandler {
    let config = RedisConfig::new(url).with_replica_acks(1, Duration::from_millis(200));
    // The replica is waited for in vain, never the primary.
    RedisHandler::new(config.with_timeout(PATIENCE)).unwrap()
}

fn ann() -> Owner {
    Owner::new("ann").unwrap()
}

/// Calls until the replica confirms: it may have to catch up first.
async fn confirmed<T>(call: impl AsyncFn() -> Result<T>) -> T {
    let begin = Instant::now();
    loop {
        match call().await {
            Ok(done) => return done,
            Err(err) => assert!(begin.elapsed() < Duration::from_secs(30), "{err}"),
        }
    }
}

/// Expects an error that says that it may be undone.
fn open<T: std::fmt::Debug>(what: &str, result: Result<T>) -> Error {
    let err = result.expect_err(what);
    assert!(err.is_indeterminate(), "{what}: {err}");
    assert!(err.to_string().contains("replicas"), "{what}: {err}");
    err
}

/// The first logout says that a failover may undo it. Whoever asks after that is told
/// the same, and not that there is nothing left to end.
async fn a_logout_is_open_for_everybody(builder: RedisBuilder) {
    let pair = Pair::start(builder).await;
    let (one, two) = (pair.handler(), pair.handler());
    let (key, bound) = (fresh_key(), fresh_key());
    write(&pair.plain(), &key, "in", &creating()).await.unwrap();
    write(&pair.plain(), &bound, "in", &creating().with_owner(ann())).await.unwrap();
    pair.caught_up().await;

    pair.replica.process().stop();
    for handler in [&one, &two, &one] {
        open("destroy", handler.destroy(&key, None).await);
        open("revoke", handler.index().unwrap().revoke(&ann(), None).await);
    }
    pair.replica.process().resume();

    assert!(!confirmed(async || two.destroy(&key, None).await).await);
    assert_eq!(confirmed(async || two.index().unwrap().revoke(&ann(), None).await).await, 0);
    for key in [key, bound] {
        assert!(!pair.replica.query::<bool>(&["EXISTS", &name(&key)]).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_that_no_replica_has_is_open_for_everybody() {
    tokio::join!(
        a_logout_is_open_for_everybody(Redis::redis()),
        a_logout_is_open_for_everybody(Redis::valkey()),
    );
}

/// The answer is lost, and what is asked on another connection finds it done already.
async fn what_is_found_done_is_open(builder: RedisBuilder) {
    let pair = Pair::start(builder).await;
    let proxy = Proxy::start(pair.primary.address()).await.unwrap();
    let handler = with_acks(proxy.url(&pair.primary.url()));
    // So that the server has the script, and there is a connection to cut.
    confirmed(async || handler.destroy(&fresh_key(), None).await).await;
    let plain = pair.plain();
    let (key, changed) = (create(&plain, "in").await, create(&plain, "in").await);
    let version = handler.read(&changed).await.unwrap().unwrap().version;
    pair.caught_up().await;

    pair.replica.process().stop();
    let hit = proxy.next(Direction::Request, Fault::CutReply);
    open("destroy", handler.destroy(&key, None).await);
    hit.wait().await;
    let hit = proxy.next(Direction::Request, Fault::CutReply);
    open("create", write(&handler, &fresh_key(), "in", &creating()).await);
    hit.wait().await;
    let hit = proxy.next(Direction::Request, Fault::CutReply);
    open("change", write(&handler, &changed, "changed", &at(&version)).await);
    hit.wait().await;
    pair.replica.process().resume();

    assert_eq!(payload(&handler, &key).await, None);
    assert_eq!(payload(&handler, &changed).await.as_deref(), Some("changed"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_found_done_is_open_as_long_as_no_replica_has_it() {
    tokio::join!(
        what_is_found_done_is_open(Redis::redis()),
        what_is_found_done_is_open(Redis::valkey()),
    );
}

/// A failover may bring back that the session is the owner's, so that the owner's index
/// must still name it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_keeps_the_entry_of_a_session_as_long_as_no_replica_knows_of_its_end() {
    for builder in [Redis::redis(), Redis::valkey()] {
        let pair = Pair::start(builder).await;
        let handler = pair.handler();
        let (ending, leaving) = (fresh_key(), fresh_key());
        let bob = Owner::new("bob").unwrap();
        write(&pair.plain(), &ending, "ann's", &creating().with_owner(ann())).await.unwrap();
        let bobs = creating().with_owner(bob.clone());
        write(&pair.plain(), &leaving, "bob's", &bobs).await.unwrap();
        pair.caught_up().await;
        let version = handler.read(&leaving).await.unwrap().unwrap().version;
        assert_eq!(pair.owners().await, 2);

        pair.replica.process().stop();
        open("destroy", handler.destroy(&ending, None).await);
        open("unbind", write(&handler, &leaving, "nobody's", &at(&version)).await);
        // Another process finds a session that is not the owner's any more.
        let other = pair.handler();
        open("revoke", other.index().unwrap().revoke(&bob, None).await);
        pair.replica.process().resume();
        assert_eq!(pair.owners().await, 2);
    }
}
