//! Connections that are cut, held back, slowed down and garbled at every point.

use std::time::{Duration, Instant};

use session_core::{
    CookieAction, ErrorKind, Owner, Policy, Result, SessionHandler, SessionKey, SessionManager,
    Version,
};
use session_redis::{RedisConfig, RedisHandler};
use session_tests::proxy::{Direction, Fault, Proxy};
use session_tests::servers::Redis;

use crate::support::*;

const TIMEOUT: Duration = Duration::from_millis(300);

/// One call on a session that holds `old`, or on a free key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Read,
    Create,
    Replace,
    Change,
    Touch,
    Destroy,
    DestroyAt,
}

impl Does {
    const ALL: [Self; 7] = [
        Self::Read,
        Self::Create,
        Self::Replace,
        Self::Change,
        Self::Touch,
        Self::Destroy,
        Self::DestroyAt,
    ];

    async fn run(self, handler: &RedisHandler, key: &SessionKey, at_: &Version) -> Result<()> {
        match self {
            Self::Read => handler.read(key).await.map(drop),
            Self::Create => write(handler, key, "new", &creating()).await.map(drop),
            Self::Replace => write(handler, key, "new", &replacing()).await.map(drop),
            Self::Change => write(handler, key, "new", &at(at_)).await.map(drop),
            Self::Touch => handler.touch(key, 2 * LONG).await.map(|done| assert!(done)),
            Self::Destroy => handler.destroy(key, None).await.map(drop),
            Self::DestroyAt => handler.destroy(key, Some(at_)).await.map(|done| assert!(done)),
        }
    }

    /// What the key holds before and after.
    const fn states(self) -> (Option<&'static str>, Option<&'static str>) {
        match self {
            Self::Read | Self::Touch => (Some("old"), Some("old")),
            Self::Create => (None, Some("new")),
            Self::Replace | Self::Change => (Some("old"), Some("new")),
            Self::Destroy | Self::DestroyAt => (Some("old"), None),
        }
    }
}

fn faults() -> Vec<(Direction, Fault)> {
    let request = [
        Fault::CutAfter(0),
        Fault::CutAfter(40),
        Fault::ResetAfter(0),
        Fault::Stall,
        Fault::Swallow,
        Fault::Slow(1, Duration::from_millis(20)),
        Fault::Delay(Duration::from_millis(500)),
        Fault::CutReply,
    ];
    let reply = [
        Fault::CutAfter(0),
        Fault::CutAfter(2),
        Fault::ResetAfter(0),
        Fault::Stall,
        Fault::Swallow,
        Fault::Delay(Duration::from_millis(500)),
        Fault::Garbage(b"?!\0garbage\r\n".to_vec()),
    ];
    let of = |direction| move |fault| (direction, fault);
    request.map(of(Direction::Request)).into_iter().chain(reply.map(of(Direction::Reply))).collect()
}

/// Makes a call that nothing stands in the way of, and again if the machine was
/// too busy for so short a deadline.
async fn untroubled<T>(what: &str, call: impl AsyncFn() -> Result<T>) -> T {
    let begin = Instant::now();
    loop {
        match call().await {
            Err(err) if err.kind() == ErrorKind::Timeout && begin.elapsed() < SLACK => {}
            done => return done.expect(what),
        }
    }
}

/// What a call says is what happened: success means done, a plain error means
/// not done, and only an indeterminate one leaves it open. It says so in time,
/// and the next call is none the worse for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_says_what_happened_whatever_becomes_of_its_connection() {
    for builder in [Redis::redis(), Redis::valkey()] {
        let redis = builder.start().await.unwrap();
        let clean = handler(&redis.url());
        let proxy = Proxy::start(redis.address()).await.unwrap();
        let config = RedisConfig::new(proxy.url(&redis.url())).with_timeout(TIMEOUT);
        let faulty = RedisHandler::new(config).unwrap();
        for (direction, fault) in faults() {
            for does in Does::ALL {
                let what = format!("{does:?} with {fault:?} on the {direction:?}");
                let key = fresh_key();
                let (before, after) = does.states();
                let mut version = Version::counter(0);
                if before.is_some() {
                    write(&clean, &key, "old", &creating()).await.unwrap();
                    version =
                        untroubled(&what, async || faulty.read(&key).await).await.unwrap().version;
                } else {
                    assert!(untroubled(&what, async || faulty.read(&key).await).await.is_none());
                }
                let mut hit = proxy.next(direction, fault.clone());
                let begin = Instant::now();
                let result = does.run(&faulty, &key, &version).await;
                assert!(begin.elapsed() < TIMEOUT + SLACK, "{what}: {:?}", begin.elapsed());
                assert!(hit.has_happened(), "{what}: nothing happened");
                proxy.heal();
                let found = payload(&clean, &key).await;
                match result {
                    Ok(()) => assert_eq!(found.as_deref(), after, "{what} was said to be done"),
                    Err(err) => {
                        let kinds = [ErrorKind::Unavailable, ErrorKind::Timeout];
                        assert!(kinds.contains(&err.kind()), "{what}: {err}");
                        if !err.is_indeterminate() {
                            assert_eq!(
                                found.as_deref(),
                                before,
                                "{what} was said not to be: {err}"
                            );
                        }
                    }
                }
                // What was held back may still happen, so another key.
                let next = untroubled(&what, async || {
                    let key = fresh_key();
                    write(&faulty, &key, "next", &creating()).await.map(|_| key)
                });
                let next = next.await;
                let found = untroubled(&what, async || faulty.read(&next).await).await;
                assert_eq!(found.unwrap().payload, "next", "{what}");
            }
        }
    }
}

/// Reads and whatever can be found out go through although the connection was
/// cut after the server had done them; the rest is said to be open.
#[tokio::test]
async fn what_can_be_found_out_after_a_cut_is_no_error() {
    for builder in [Redis::redis(), Redis::valkey()] {
        let redis = builder.start().await.unwrap();
        let proxy = Proxy::start(redis.address()).await.unwrap();
        let handler = handler(&proxy.url(&redis.url()));
        handler.open().await.unwrap();
        for does in Does::ALL {
            let key = fresh_key();
            let mut version = Version::counter(0);
            if does.states().0.is_some() {
                write(&handler, &key, "old", &creating()).await.unwrap();
                version = handler.read(&key).await.unwrap().unwrap().version;
            }
            let hit = proxy.next(Direction::Request, Fault::CutReply);
            let result = does.run(&handler, &key, &version).await;
            hit.wait().await;
            assert_eq!(payload(&handler, &key).await.as_deref(), does.states().1, "{does:?}");
            match does {
                Does::Replace | Does::DestroyAt => {
                    let err = result.unwrap_err();
                    assert_eq!(err.kind(), ErrorKind::Unavailable);
                    assert!(err.is_indeterminate(), "{does:?}: {err}");
                }
                _ => result.unwrap(),
            }
        }
    }
}

/// Somebody else wrote after a write whose answer was lost: nobody can say any
/// more what came of it, and it is not done a second time.
#[tokio::test]
async fn a_write_that_was_overwritten_before_it_was_found_out_stays_open() {
    let redis = Redis::valkey().start().await.unwrap();
    let clean = handler(&redis.url());
    let proxy = Proxy::start(redis.address()).await.unwrap();
    let faulty = handler(&proxy.url(&redis.url()));
    faulty.open().await.unwrap();
    let key = create(&clean, "old").await;
    let version = faulty.read(&key).await.unwrap().unwrap().version;
    let stalled = proxy.next(Direction::Reply, Fault::Stall);
    let writing = tokio::spawn(async move { write(&faulty, &key, "mine", &at(&version)).await });
    stalled.wait().await;
    assert_eq!(payload(&clean, &key).await.as_deref(), Some("mine"));
    write(&clean, &key, "theirs", &replacing()).await.unwrap();
    proxy.cut();
    let err = writing.await.unwrap().unwrap_err();
    assert!(err.is_indeterminate(), "{err}");
    assert_eq!(payload(&clean, &key).await.as_deref(), Some("theirs"));
}

/// A connection on which nobody answered in time is not used again, although it
/// is open.
#[tokio::test]
async fn a_half_open_connection_is_left() {
    let redis = Redis::redis().start().await.unwrap();
    let proxy = Proxy::start(redis.address()).await.unwrap();
    let config = RedisConfig::new(proxy.url(&redis.url()));
    let handler = RedisHandler::new(config.with_timeout(Duration::from_secs(2))).unwrap();
    let key = create(&handler, "session").await;
    proxy.set_on(0, Direction::Request, Fault::Swallow);
    let err = handler.read(&key).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Timeout, "{err}");
    assert_eq!(payload(&handler, &key).await.as_deref(), Some("session"));
    assert_eq!(proxy.accepted(), 2);
}

/// Whoever calls through session-core gives up when its deadline is over, which may be
/// before the engine would: the connection is left all the same.
#[tokio::test]
async fn a_half_open_connection_is_left_when_the_deadline_of_the_policy_comes_first() {
    let redis = Redis::redis().start().await.unwrap();
    let proxy = Proxy::start(redis.address()).await.unwrap();
    let config = RedisConfig::new(proxy.url(&redis.url()));
    let handler = RedisHandler::new(config.with_timeout(Duration::from_secs(4))).unwrap();
    let mut policy = Policy::default();
    policy.deadline = Duration::from_secs(2);
    let manager = SessionManager::builder(handler).policy(policy).build().unwrap();
    let session = manager.create();
    session.set("n", 7).unwrap();
    session.save().await.unwrap();
    let CookieAction::Set { id, .. } = session.cookie() else { panic!() };
    proxy.set_on(0, Direction::Request, Fault::Swallow);
    assert_eq!(manager.load(&id).await.unwrap_err().kind(), ErrorKind::Timeout);
    let session = manager.load(&id).await.unwrap();
    assert_eq!(session.get::<i64>("n").unwrap(), Some(7));
}

/// None of its callers waits until it is made, and each goes on where the one before has left.
#[tokio::test]
async fn a_connection_whose_caller_gave_up_is_made_for_the_next() {
    let redis = Redis::redis().start().await.unwrap();
    let proxy = Proxy::start(redis.address()).await.unwrap();
    let handler = handler(&with(&proxy.url(&redis.url()), "protocol=resp3"));
    let hit = proxy.next_with(Direction::Request, b"HELLO", Fault::Stall);
    let first = tokio::spawn({
        let handler = handler.clone();
        async move { handler.read(&fresh_key()).await.map(drop) }
    });
    hit.wait().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    for _ in 0..3 {
        let late = tokio::time::timeout(Duration::ZERO, handler.read(&fresh_key())).await;
        assert!(late.is_err(), "nobody was to be answered");
    }
    proxy.heal();
    assert!(handler.read(&fresh_key()).await.unwrap().is_none());
    assert_eq!(proxy.accepted(), 1, "a caller began anew");
}

/// What hangs is given up when a call would be, and then somebody tries again.
#[tokio::test]
async fn a_connection_that_is_never_made_is_begun_anew() {
    let redis = Redis::redis().start().await.unwrap();
    let proxy = Proxy::start(redis.address()).await.unwrap();
    let config = RedisConfig::new(with(&proxy.url(&redis.url()), "protocol=resp3"));
    let handler = RedisHandler::new(config.with_timeout(TIMEOUT)).unwrap();
    let hit = proxy.next_with(Direction::Request, b"HELLO", Fault::Swallow);
    let err = not_done(write(&handler, &fresh_key(), "late", &creating()).await);
    assert_eq!(err.kind(), ErrorKind::Unavailable, "{err}");
    hit.wait().await;
    assert!(untroubled("read", async || handler.read(&fresh_key()).await).await.is_none());
}

/// None of them waits for long, but all of them together do, and nobody is answered.
#[tokio::test]
async fn a_half_open_connection_is_left_by_callers_of_little_patience() {
    let redis = Redis::redis().start().await.unwrap();
    let proxy = Proxy::start(redis.address()).await.unwrap();
    let handler = handler(&proxy.url(&redis.url()));
    let key = create(&handler, "session").await;
    proxy.set_on(0, Direction::Request, Fault::Swallow);
    let mut given_up = 0;
    while tokio::time::timeout(Duration::from_millis(100), handler.read(&key)).await.is_err() {
        given_up += 1;
        assert!(given_up < 100, "a dead connection is used again and again");
    }
    assert!(given_up > 1, "nobody had to give up");
    assert_eq!(payload(&handler, &key).await.as_deref(), Some("session"));
}

/// A caller who has just asked and goes away says nothing about the connection.
#[tokio::test]
async fn callers_who_go_at_once_cost_no_connection() {
    let redis = Redis::redis().start().await.unwrap();
    let proxy = Proxy::start(redis.address()).await.unwrap();
    let config = RedisConfig::new(proxy.url(&redis.url()));
    let handler = RedisHandler::new(config.with_timeout(Duration::from_secs(600))).unwrap();
    let key = create(&handler, "session").await;
    proxy.set(Direction::Reply, Fault::Stall);
    for _ in 0..50 {
        let gone = tokio::time::timeout(Duration::from_millis(2), handler.read(&key)).await;
        assert!(gone.is_err(), "nobody was to be answered");
    }
    proxy.heal();
    assert_eq!(payload(&handler, &key).await.as_deref(), Some("session"));
    assert_eq!(proxy.accepted(), 1);
}

/// The server did it, its answer was lost, and then nobody was there to be asked: nobody
/// may say that nothing happened.
#[tokio::test]
async fn what_may_have_happened_stays_so_when_the_next_attempt_is_refused() {
    let redis = Redis::redis().start().await.unwrap();
    let proxy = Proxy::start(redis.address()).await.unwrap();
    let config = RedisConfig::new(proxy.url(&redis.url())).with_timeout(TIMEOUT);
    let (handler, clean) = (RedisHandler::new(config).unwrap(), handler(&redis.url()));
    let ann = Owner::new("ann").unwrap();
    let key = fresh_key();
    write(&clean, &key, "session", &creating().with_owner(ann.clone())).await.unwrap();
    let token = clean.locker().unwrap().try_lock(&key, LONG).await.unwrap().unwrap();
    // So that the server knows the scripts.
    clean.touch(&key, LONG).await.unwrap();
    clean.destroy(&fresh_key(), None).await.unwrap();
    let other = clean.locker().unwrap().try_lock(&fresh_key(), LONG).await.unwrap().unwrap();
    clean.locker().unwrap().unlock(&fresh_key(), other).await.unwrap();
    for what in ["read", "touch", "unlock", "revoke", "destroy"] {
        untroubled(what, async || handler.read(&key).await).await;
        proxy.refuse().await;
        // A revocation looks at the index before it ends anything.
        let hit = proxy.next_with(
            Direction::Request,
            if what == "read" { b"GET" } else { b"EVALSHA" },
            Fault::CutReply,
        );
        let result = match what {
            "read" => handler.read(&key).await.map(drop),
            "touch" => handler.touch(&key, 2 * LONG).await.map(drop),
            "unlock" => handler.locker().unwrap().unlock(&key, token).await.map(drop),
            "revoke" => handler.index().unwrap().revoke(&ann, None).await.map(drop),
            _ => handler.destroy(&key, None).await.map(drop),
        };
        hit.wait().await;
        proxy.accept().await.unwrap();
        let err = result.unwrap_err();
        assert_eq!(err.is_indeterminate(), what != "read", "{what}: {err}");
    }
    assert_eq!(payload(&clean, &key).await, None);
}
