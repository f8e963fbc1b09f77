//! Records that would stay for ever if nobody collected them.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use session_core::{Exclusive, Policy, SessionId, SessionManager};
use session_tests::servers::{Own, Shared};

/// Makes a call, and drops it if it is not done when it was polled so often.
async fn give_up<T>(polls: u32, call: impl Future<Output = T>) {
    let mut call = pin!(call);
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        call.as_mut().poll(cx).map(drop)
    })
    .await;
}

async fn created(sessions: &SessionManager) -> SessionId {
    let session = sessions.create();
    session.set("n", 1).unwrap();
    session.bind("ann").unwrap();
    session.save().await.unwrap();
    session.id().unwrap()
}

/// Does everything to sessions, and gives each call up at any of its awaits.
async fn live(sessions: &SessionManager) {
    for polls in 1..12 {
        let session = sessions.create();
        session.set("n", 1).unwrap();
        session.bind("ann").unwrap();
        give_up(polls, session.save()).await;
        for what in 0..4 {
            let session = sessions.load(&created(sessions).await).await.unwrap();
            match what {
                0 => session.set("n", 2).unwrap(),
                1 => session.regenerate().unwrap(),
                2 => session.destroy().unwrap(),
                _ => {
                    give_up(polls, session.refresh()).await;
                    continue;
                }
            }
            give_up(polls, session.save()).await;
        }
    }
}

#[tokio::test]
async fn no_record_without_a_deadline_is_left_wherever_a_call_ends() {
    for server in [Shared::Redis, Shared::Valkey, Shared::RedisCluster, Shared::MongoDb] {
        let own = Own::shared(server);
        let handler = session_http::registry().connect(&own.url()).await.unwrap();
        let mut policy = Policy::default();
        policy.exclusive = Some(Exclusive::default());
        let sessions = SessionManager::new(Arc::clone(&handler));
        let locking = SessionManager::builder(handler).policy(policy).build().unwrap();
        let locked = locking.load(&created(&sessions).await).await.unwrap();
        live(&sessions).await;
        let (records, endless) = own.endless().await.unwrap();
        assert!(records > 20, "{server:?}: {records} records are too few");
        assert_eq!(endless, [""; 0], "{server:?}");
        drop(locked);
        own.clear().await.unwrap();
    }
}
