//! Commands per operation, counted by the server itself.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::Request;
use http::header::{COOKIE, SET_COOKIE};
use session_core::{Owner, SessionHandler};
use session_http::{Session, SessionLayer};
use session_redis::RedisHandler;
use session_tests::servers::Redis;
use tower::ServiceExt;

use crate::support::*;

/// Everything that an operation may run, by itself or in a script.
const COMMANDS: [&str; 16] = [
    "get",
    "set",
    "getrange",
    "setrange",
    "del",
    "pttl",
    "pexpire",
    "time",
    "zadd",
    "zrem",
    "zscore",
    "zremrangebyscore",
    "eval",
    "evalsha",
    "ping",
    "hello",
];

/// Runs an operation and returns what the server was told to do for it.
async fn told(redis: &Redis, operation: impl Future<Output = ()>) -> Vec<(&'static str, u64)> {
    redis.reset_counts().await.unwrap();
    operation.await;
    let mut told = Vec::new();
    for command in COMMANDS {
        match redis.count(command).await.unwrap() {
            0 => {}
            count => told.push((command, count)),
        }
    }
    told
}

/// Has every script loaded and the connection made.
async fn warm(redis: &Redis) -> RedisHandler {
    let handler = handler(&redis.url());
    handler.open().await.unwrap();
    let key = create(&handler, "warm").await;
    write(&handler, &key, "warm", &replacing()).await.unwrap();
    handler.touch(&key, LONG).await.unwrap();
    handler.destroy(&key, None).await.unwrap();
    handler
}

#[tokio::test]
async fn each_operation_is_one_command() {
    for (builder, conditional) in [(Redis::redis(), false), (Redis::valkey(), true)] {
        let redis = builder.start().await.unwrap();
        let handler = warm(&redis).await;
        let key = fresh_key();
        let created = told(&redis, async {
            write(&handler, &key, "session", &creating()).await.unwrap();
        });
        assert_eq!(created.await, [("set", 1)]);

        let read = told(&redis, async { drop(handler.read(&key).await.unwrap().unwrap()) });
        assert_eq!(read.await, [("get", 1)]);

        let changed = told(&redis, async {
            let version = handler.read(&key).await.unwrap().unwrap().version;
            write(&handler, &key, "changed", &at(&version)).await.unwrap();
        });
        let by_script = [("get", 1), ("set", 1), ("getrange", 1), ("evalsha", 1)];
        let expected = if conditional { &[("get", 1), ("set", 1)][..] } else { &by_script };
        assert_eq!(changed.await, expected);

        let replaced = told(&redis, async {
            write(&handler, &key, "replaced", &replacing()).await.unwrap();
        });
        assert_eq!(replaced.await, [("set", 1), ("getrange", 1), ("evalsha", 1)]);

        let touched = told(&redis, async { assert!(handler.touch(&key, 2 * LONG).await.unwrap()) });
        let expected =
            [("getrange", 1), ("setrange", 1), ("pttl", 1), ("pexpire", 1), ("evalsha", 1)];
        assert_eq!(touched.await, expected);

        let destroyed = told(&redis, async { assert!(handler.destroy(&key, None).await.unwrap()) });
        assert_eq!(destroyed.await, [("getrange", 1), ("del", 1), ("evalsha", 1)]);
    }
}

/// A touch between reading and writing costs another step, and no conflict.
#[tokio::test]
async fn a_write_after_a_touch_is_decided_by_the_script() {
    let redis = Redis::valkey().start().await.unwrap();
    let handler = warm(&redis).await;
    let key = create(&handler, "session").await;
    let version = handler.read(&key).await.unwrap().unwrap().version;
    assert!(handler.touch(&key, 2 * LONG).await.unwrap());
    let changed = told(&redis, async {
        write(&handler, &key, "changed", &at(&version)).await.unwrap();
    });
    assert_eq!(changed.await, [("set", 2), ("getrange", 1), ("evalsha", 1)]);
    assert_eq!(payload(&handler, &key).await.as_deref(), Some("changed"));
}

/// Binding to an owner costs a step; what follows does not, as long as the
/// owner's entry stays long enough.
#[tokio::test]
async fn an_owner_costs_a_step_only_when_an_entry_is_made() {
    for (builder, conditional) in [(Redis::redis(), false), (Redis::valkey(), true)] {
        let redis = builder.start().await.unwrap();
        let handler = warm(&redis).await;
        let ann = Owner::new("ann").unwrap();
        let key = fresh_key();
        write(&handler, &key, "bound", &creating().with_owner(ann.clone())).await.unwrap();

        let changed = told(&redis, async {
            let version = handler.read(&key).await.unwrap().unwrap().version;
            let bound = at(&version).with_owner(ann.clone());
            write(&handler, &key, "changed", &bound).await.unwrap();
        });
        let changed = changed.await;
        assert!(changed.iter().all(|(command, _)| !command.starts_with('z')), "{changed:?}");
        let scripts = if conditional { 0 } else { 1 };
        assert_eq!(changed.iter().filter(|(command, _)| *command == "evalsha").count(), scripts);

        let touched = told(&redis, async { assert!(handler.touch(&key, LONG).await.unwrap()) });
        assert!(touched.await.contains(&("evalsha", 1)));

        let far = told(&redis, async { assert!(handler.touch(&key, 3 * LONG).await.unwrap()) });
        assert!(far.await.contains(&("evalsha", 3)), "ask, enter, touch");
    }
}

/// A request through the layer: one that leaves its session alone asks the server for
/// nothing, one that reads it for one command, and one that changes it for a second. Its
/// lifetime is extended now and then only, so that a request soon after costs no touch.
#[tokio::test]
async fn a_request_costs_what_it_does_with_its_session() {
    for (builder, conditional) in [(Redis::redis(), false), (Redis::valkey(), true)] {
        let redis = builder.start().await.unwrap();
        let app = Router::new()
            .route("/alone", get(async || "nothing"))
            .route("/read", get(async |session: Session| read(&session).to_string()))
            .route("/change", get(async |session: Session| change(&session).to_string()))
            .layer(SessionLayer::new(warm(&redis).await));
        let cookie = std::sync::Mutex::new(None::<String>);
        let request = async |path: &str| {
            let mut request = Request::get(path);
            if let Some(cookie) = &*cookie.lock().unwrap() {
                request = request.header(COOKIE, cookie);
            }
            let response = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            assert!(response.status().is_success());
            if let Some(set) = response.headers().get(SET_COOKIE) {
                let pair = set.to_str().unwrap().split(';').next().map(str::to_owned);
                *cookie.lock().unwrap() = pair;
            }
        };
        assert_eq!(told(&redis, request("/alone")).await, []);
        assert_eq!(told(&redis, request("/read")).await, [], "there is no session to be read");
        assert_eq!(told(&redis, request("/change")).await, [("set", 1)]);

        assert_eq!(told(&redis, request("/alone")).await, []);
        assert_eq!(told(&redis, request("/read")).await, [("get", 1)]);
        let by_script = [("get", 1), ("set", 1), ("getrange", 1), ("evalsha", 1)];
        let expected = if conditional { &[("get", 1), ("set", 1)][..] } else { &by_script };
        assert_eq!(told(&redis, request("/change")).await, expected);
        assert_eq!(told(&redis, request("/read")).await, [("get", 1)]);
    }
}

fn read(session: &Session) -> i64 {
    session.get("n").unwrap().unwrap_or_default()
}

fn change(session: &Session) -> i64 {
    session.increment("n", 1).unwrap()
}
