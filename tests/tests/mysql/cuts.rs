//! Connections that break at the worst moment.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use session_core::{ErrorKind, Operation, Result, SessionHandler, SessionKey, Version};
use session_mysql::MysqlHandler;
use session_tests::proxy::{Direction, Fault, Proxy};

use crate::support::*;

on_both! {
    a_read_that_was_cut_is_sent_again
    a_write_at_a_version_is_sent_again_and_happens_once
    a_destruction_at_a_version_that_was_cut_is_not_denied
    what_may_have_happened_is_not_sent_again
    a_write_in_doubt_that_others_built_upon_is_no_conflict
    a_write_in_doubt_that_cannot_be_looked_at_stays_in_doubt
    an_own_write_is_found_although_its_lock_has_passed_on
    a_write_in_doubt_whose_lock_has_passed_on_is_not_denied
    a_late_statement_at_a_version_does_nothing
    errors_of_any_break_tell_the_truth
    a_new_connection_that_hangs_is_given_up
}

/// A handler behind a proxy, and one that goes past it.
struct Setup {
    proxy: Proxy,
    handler: MysqlHandler,
    past: MysqlHandler,
}

/// Breaks connections to the server that all tests share, in clear text so that
/// the proxy knows a statement by its key.
async fn setup(kind: Kind, timeout: Duration) -> Setup {
    let url = kind.shared().url();
    let proxy = Proxy::start(address(&url)).await.expect("a proxy");
    let config = config(kind.shared());
    let past = open(config.clone()).await;
    let through = format!("{}?ssl-mode=disabled", proxy.url(&url));
    let mut config = config.with_timeout(timeout).with_max_connections(2);
    config.url = Some(through);
    let handler = MysqlHandler::new(config).expect("a configuration");
    warm(&handler).await;
    Setup { proxy, handler, past }
}

/// Makes the handler connect, however long a slow machine takes for it.
async fn warm(handler: &MysqlHandler) {
    until(async || handler.read(&fresh_key()).await.is_ok()).await;
}

pub(crate) fn address(url: &str) -> SocketAddr {
    let (_, rest) = url.rsplit_once('@').expect("a user in the URL");
    let host = rest.split(['/', '?']).next().expect("a host");
    host.replace("localhost", "127.0.0.1").parse().expect("an address and a port")
}

async fn a_read_that_was_cut_is_sent_again(kind: Kind) {
    let Setup { proxy, handler, .. } = setup(kind, PATIENT).await;
    let (key, _) = created(&handler, "a").await;
    for fault in [Fault::CutAfter(0), Fault::ResetAfter(0), Fault::CutReply, Fault::CutAfter(9)] {
        let hit = proxy.next_with(Direction::Request, key.as_bytes(), fault);
        holds(&handler, &key, "a").await;
        hit.wait().await;
    }
    let hit = proxy.next(Direction::Reply, Fault::CutAfter(20));
    holds(&handler, &key, "a").await;
    hit.wait().await;
}

async fn a_write_at_a_version_is_sent_again_and_happens_once(kind: Kind) {
    let Setup { proxy, handler, past } = setup(kind, PATIENT).await;
    let (key, mut version) = created(&handler, "a").await;
    for fault in [Fault::CutAfter(0), Fault::ResetAfter(0), Fault::CutReply] {
        let hit = proxy.next_with(Direction::Request, key.as_bytes(), fault);
        version = handler.write(&key, "b".into(), &at(version)).await.expect("write");
        hit.wait().await;
        let stored = past.read(&key).await.expect("read").expect("a session");
        assert_eq!((&stored.version, &stored.payload[..]), (&version, &b"b"[..]));
    }
}

async fn a_destruction_at_a_version_that_was_cut_is_not_denied(kind: Kind) {
    let Setup { proxy, handler, past } = setup(kind, PATIENT).await;
    let (key, version) = created(&handler, "a").await;
    let hit = proxy.next_with(Direction::Request, key.as_bytes(), Fault::CutAfter(0));
    assert!(handler.destroy(&key, Some(&version)).await.expect("destroy"));
    hit.wait().await;
    let (key, version) = created(&handler, "a").await;
    let hit = proxy.next_with(Direction::Request, key.as_bytes(), Fault::CutReply);
    // It was us, or somebody else: nobody knows.
    let (err, _) = told(handler.destroy(&key, Some(&version)).await);
    hit.wait().await;
    assert!(err.is_indeterminate(), "{err}");
    assert!(past.read(&key).await.expect("read").is_none());
}

async fn what_may_have_happened_is_not_sent_again(kind: Kind) {
    let Setup { proxy, handler, past } = setup(kind, PATIENT).await;
    for operation in [Operation::Create, Operation::Write, Operation::Touch, Operation::Destroy] {
        for fault in [Fault::CutAfter(0), Fault::CutReply] {
            let done = fault == Fault::CutReply;
            let key = fresh_key();
            if operation != Operation::Create {
                past.write(&key, "a".into(), &creating()).await.expect("create");
            }
            works(&handler).await;
            let hit = proxy.next_with(Direction::Request, key.as_bytes(), fault);
            let result = match operation {
                Operation::Create => handler.write(&key, "b".into(), &creating()).await.map(drop),
                Operation::Write => handler.write(&key, "b".into(), &replacing()).await.map(drop),
                Operation::Touch => handler.touch(&key, LONG).await.map(drop),
                _ => handler.destroy(&key, None).await.map(drop),
            };
            let (err, text) = told(result);
            hit.wait().await;
            assert_eq!(err.kind(), ErrorKind::Unavailable, "{text}");
            assert!(err.is_indeterminate(), "{text}");
            let stored = past.read(&key).await.expect("read");
            let payload = stored.as_ref().map(|stored| &stored.payload[..]);
            let expected = match (operation, done) {
                (Operation::Create, false) | (Operation::Destroy, true) => None,
                (Operation::Create | Operation::Write, true) => Some(&b"b"[..]),
                _ => Some(&b"a"[..]),
            };
            assert_eq!(payload, expected, "{operation}, done: {done}");
        }
    }
}

/// Or else the change would be made twice.
async fn a_write_in_doubt_that_others_built_upon_is_no_conflict(kind: Kind) {
    let Setup { proxy, handler, past } = setup(kind, PATIENT).await;
    let handler = Arc::new(handler);
    let (key, version) = created(&handler, "1").await;
    let cut = proxy.next_with(Direction::Request, key.as_bytes(), Fault::CutReply);
    // The connection that it is sent again on has to wait.
    let wait = proxy.next_with(Direction::Request, b"SET NAMES", Fault::Stall);
    let writer = Arc::clone(&handler);
    let writing = tokio::spawn(async move { writer.write(&key, "2".into(), &at(version)).await });
    cut.wait().await;
    wait.wait().await;
    let second = past.read(&key).await.expect("read").expect("a session");
    assert_eq!(second.payload, "2");
    past.write(&key, "3".into(), &at(second.version)).await.expect("write");
    proxy.heal();
    let (err, text) = told(writing.await.expect("a task"));
    assert!(err.is_indeterminate() && err.kind() != ErrorKind::Conflict, "{text}");
    holds(&past, &key, "3").await;
}

/// It was made, its reply is lost, and so is every answer about it.
async fn a_write_in_doubt_that_cannot_be_looked_at_stays_in_doubt(kind: Kind) {
    let Setup { proxy, handler, past } = setup(kind, Duration::from_millis(900)).await;
    let (key, version) = created(&past, "1").await;
    let (doomed, last) = created(&past, "1").await;
    for call in [Call::At, Call::Destroy] {
        warm(&handler).await;
        let key = if call == Call::At { key } else { doomed };
        let cut = proxy.next_with(Direction::Request, key.as_bytes(), Fault::CutReply);
        let stall = proxy.next_with(Direction::Request, b"SELECT version FROM", Fault::Stall);
        let result = match call {
            Call::At => handler.write(&key, "2".into(), &at(version.clone())).await.map(drop),
            _ => handler.destroy(&key, Some(&last)).await.map(drop),
        };
        cut.wait().await;
        stall.wait().await;
        let (err, text) = told(result);
        assert!(err.kind().is_outage() && err.is_indeterminate(), "{text}");
        proxy.heal();
    }
    holds(&past, &key, "2").await;
    assert!(past.read(&doomed).await.expect("read").is_none());
}

/// A write under a lock that was made and whose reply is lost. Before it is sent
/// again the lock passes on, and something more may happen.
async fn lose_the_lock<F: Future<Output = ()>>(
    kind: Kind,
    more: impl FnOnce(MysqlHandler, SessionKey, Version) -> F,
) -> (SessionKey, MysqlHandler, Result<Version>) {
    let Setup { proxy, handler, past } = setup(kind, PATIENT).await;
    let (key, version) = created(&handler, "1").await;
    let locker = past.locker().expect("a locker");
    let token = locker.try_lock(&key, LONG).await.expect("lock").expect("a free lock");
    works(&handler).await;
    let cut = proxy.next_with(Direction::Request, key.as_bytes(), Fault::CutReply);
    let wait = proxy.next_with(Direction::Request, b"SET NAMES", Fault::Stall);
    let options = at(version).with_fence(token);
    let writing = async { handler.write(&key, "2".into(), &options).await };
    let meanwhile = async {
        cut.wait().await;
        wait.wait().await;
        assert!(locker.unlock(&key, token).await.expect("unlock"));
        locker.try_lock(&key, LONG).await.expect("lock").expect("a free lock");
        let second = past.read(&key).await.expect("read").expect("a session");
        assert_eq!(second.payload, "2");
        more(past.clone(), key, second.version).await;
        proxy.heal();
    };
    let (result, ()) = tokio::join!(writing, meanwhile);
    (key, past.clone(), result)
}

async fn an_own_write_is_found_although_its_lock_has_passed_on(kind: Kind) {
    let (key, past, result) = lose_the_lock(kind, |_, _, _| async {}).await;
    let version = result.expect("write");
    let stored = past.read(&key).await.expect("read").expect("a session");
    assert_eq!((stored.version, &stored.payload[..]), (version, &b"2"[..]));
}

async fn a_write_in_doubt_whose_lock_has_passed_on_is_not_denied(kind: Kind) {
    let more = async |past: MysqlHandler, key: SessionKey, version: Version| {
        past.write(&key, "3".into(), &at(version)).await.expect("write");
    };
    let (key, past, result) = lose_the_lock(kind, more).await;
    let (err, text) = told(result);
    assert!(err.is_indeterminate() && err.kind() != ErrorKind::Conflict, "{text}");
    holds(&past, &key, "3").await;
}

/// The network hands it over when everything is over.
async fn a_late_statement_at_a_version_does_nothing(kind: Kind) {
    let Setup { proxy, handler, past } = setup(kind, Duration::from_millis(700)).await;
    let (key, version) = created(&past, "a").await;
    let (doomed, last) = created(&past, "a").await;
    warm(&handler).await;
    for (key, version) in [(key, version.clone()), (doomed, last.clone())] {
        let hit = proxy.next_with(Direction::Request, key.as_bytes(), Fault::Stall);
        let (err, _) = told(handler.write(&key, "late".into(), &at(version)).await);
        assert_eq!(err.kind(), ErrorKind::Timeout);
        assert!(err.is_indeterminate());
        hit.wait().await;
    }
    past.write(&key, "b".into(), &at(version)).await.expect("write");
    assert!(past.destroy(&doomed, Some(&last)).await.expect("destroy"));
    proxy.heal();
    warm(&handler).await;
    // What was held back has been executed when its connections are gone.
    until(async || proxy.open().len() <= 2).await;
    holds(&past, &key, "b").await;
    assert!(past.read(&doomed).await.expect("read").is_none());
}

/// Every operation meets every break. Whatever the answer says is so: done if it
/// is Ok, not done if the error does not say that it may have happened.
async fn errors_of_any_break_tell_the_truth(kind: Kind) {
    let timeout = Duration::from_millis(900);
    let Setup { proxy, handler, past } = setup(kind, timeout).await;
    let breaks = [
        (Direction::Request, Fault::CutAfter(3)),
        (Direction::Request, Fault::Swallow),
        (Direction::Request, Fault::Garbage(b"\x03\x00\x00\x00abc".to_vec())),
        (Direction::Reply, Fault::CutAfter(0)),
        (Direction::Reply, Fault::CutAfter(6)),
        (Direction::Reply, Fault::ResetAfter(6)),
        (Direction::Reply, Fault::Stall),
        (Direction::Reply, Fault::Swallow),
        (Direction::Reply, Fault::Garbage(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())),
        (Direction::Reply, Fault::Garbage(vec![0xff; 64])),
        (Direction::Reply, Fault::Slow(1, Duration::from_millis(1))),
    ];
    for (direction, fault) in breaks {
        for call in [Call::Read, Call::Create, Call::Replace, Call::At, Call::Touch, Call::Destroy]
        {
            let (key, version) = created(&past, "a").await;
            let target = if call == Call::Create { fresh_key() } else { key };
            // A sound connection, with every statement prepared.
            warm(&handler).await;
            let hit = match direction {
                Direction::Request => proxy.next_with(direction, target.as_bytes(), fault.clone()),
                Direction::Reply => proxy.next(direction, fault.clone()),
            };
            let begin = Instant::now();
            let result = call.make(&handler, &target, &version).await;
            assert!(begin.elapsed() < 20 * timeout, "{call:?} with {fault:?}");
            hit.wait().await;
            proxy.heal();
            let happened = call.has_happened(&past, &target).await;
            match result {
                Ok(()) => assert_ne!(happened, Some(false), "{call:?} with {fault:?}"),
                Err(err) => {
                    assert!(err.kind().is_outage(), "{call:?} with {fault:?}: {err}");
                    if !err.is_indeterminate() {
                        assert_ne!(happened, Some(true), "{call:?} with {fault:?}: {err}");
                    }
                }
            }
        }
    }
    warm(&handler).await;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Read,
    Create,
    Replace,
    At,
    Touch,
    Destroy,
}

impl Call {
    async fn make(self, handler: &MysqlHandler, key: &SessionKey, version: &Version) -> Result<()> {
        let write = async |options| handler.write(key, "b".into(), &options).await.map(drop);
        match self {
            Self::Read => handler.read(key).await.map(|stored| {
                assert_eq!(stored.expect("a session").payload, "a");
            }),
            Self::Create => write(creating()).await,
            Self::Replace => write(replacing()).await,
            Self::At => write(at(version.clone())).await,
            Self::Touch => handler.touch(key, 9 * LONG).await.map(|found| assert!(found)),
            Self::Destroy => handler.destroy(key, None).await.map(|found| assert!(found)),
        }
    }

    /// `None` for what leaves no trace.
    async fn has_happened(self, past: &MysqlHandler, key: &SessionKey) -> Option<bool> {
        let stored = past.read(key).await.expect("read");
        match self {
            Self::Read => None,
            Self::Create => Some(stored.is_some()),
            Self::Replace | Self::At => Some(stored.expect("a session").payload == "b"),
            Self::Touch => Some(stored.expect("a session").remaining > Some(2 * LONG)),
            Self::Destroy => Some(stored.is_none()),
        }
    }
}

async fn a_new_connection_that_hangs_is_given_up(kind: Kind) {
    let Setup { proxy, handler, .. } = setup(kind, Duration::from_millis(500)).await;
    proxy.cut();
    proxy.set(Direction::Reply, Fault::Stall);
    let (err, text) = told(handler.write(&fresh_key(), "a".into(), &creating()).await);
    assert!(err.kind().is_outage(), "{text}");
    let (err, text) = told(handler.write(&fresh_key(), "a".into(), &creating()).await);
    assert_eq!(err.kind(), ErrorKind::Timeout, "{text}");
    assert!(!err.is_indeterminate(), "nothing was sent: {text}");
    proxy.refuse().await;
    proxy.cut();
    until(async || {
        let (err, _) = told(handler.read(&fresh_key()).await);
        err.kind() == ErrorKind::Unavailable
    })
    .await;
    proxy.heal();
    proxy.accept().await.expect("the port");
    warm(&handler).await;
}
