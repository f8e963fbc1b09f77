//! Requests that race in earnest, on threads and in two processes.

use std::sync::Arc;

use session_core::{ErrorKind, MemoryHandler, Session, SessionId, SessionManager, Status};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

/// Two processes on one store.
fn processes() -> [SessionManager; 2] {
    let handler = MemoryHandler::new();
    [SessionManager::new(handler.clone()), SessionManager::new(handler)]
}

async fn stored(sessions: &SessionManager) -> SessionId {
    let session = sessions.create();
    session.set("k", 0).unwrap();
    session.save().await.unwrap();
    session.id().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_hundred_increments_in_two_processes_each_counts() {
    let processes = processes();
    let id = stored(&processes[0]).await;
    let start = Arc::new(Barrier::new(100));
    let mut tasks = JoinSet::new();
    for n in 0..100 {
        let (sessions, id) = (processes[n % 2].clone(), id.clone());
        let start = Arc::clone(&start);
        tasks.spawn(async move {
            let session = sessions.load(&id).await?;
            session.increment("n", 1)?;
            session.push("list", n)?;
            session.set(&format!("own{n}"), n)?;
            start.wait().await;
            session.save().await
        });
    }
    for result in tasks.join_all().await {
        result.unwrap();
    }
    let session = processes[1].load(&id).await.unwrap();
    assert_eq!(session.get::<i64>("n").unwrap(), Some(100));
    let mut list: Vec<usize> = session.get("list").unwrap().unwrap();
    list.sort_unstable();
    assert_eq!(list, (0..100).collect::<Vec<_>>());
    assert_eq!(session.keys().unwrap().len(), 103);
}

/// What a request does while another one logs out.
type Rival = fn(&Session);

const RIVALS: [Rival; 4] = [
    |s| s.set("k", 1).unwrap(),
    |s| s.regenerate().unwrap(),
    |s| (s.set("k", 2).unwrap(), s.regenerate().unwrap()).0,
    |_| (),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_ten_thousand_logouts_none_is_undone() {
    let [one, two] = processes();
    for round in 0..10_000 {
        let id = stored(&one).await;
        let (logout, rival) = (one.load(&id).await.unwrap(), two.load(&id).await.unwrap());
        logout.destroy().unwrap();
        RIVALS[round % RIVALS.len()](&rival);
        let start = Arc::new(Barrier::new(2));
        let racing = tokio::spawn({
            let (start, rival) = (Arc::clone(&start), rival.clone());
            async move {
                start.wait().await;
                (rival.save().await, rival.id())
            }
        });
        start.wait().await;
        logout.save().await.unwrap();
        let (saved, new) = racing.await.unwrap();
        if let Err(err) = saved {
            assert_eq!(err.kind(), ErrorKind::Gone, "{err}");
        }
        for id in [Some(id), new].into_iter().flatten() {
            assert_eq!(one.load(&id).await.unwrap().status(), Status::Unknown);
        }
        if rival.set("k", 3).is_ok() {
            assert_eq!(rival.save().await.unwrap_err().kind(), ErrorKind::Gone);
        }
        assert_eq!(one.count().await.unwrap(), 0, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_racing_changes_of_id_one_wins_and_no_write_is_lost() {
    let [one, two] = processes();
    for _ in 0..500 {
        let id = stored(&one).await;
        let start = Arc::new(Barrier::new(4));
        let mut tasks = JoinSet::new();
        for n in 0..4 {
            let session = if n % 2 == 0 { &one } else { &two }.load(&id).await.unwrap();
            let start = Arc::clone(&start);
            tasks.spawn(async move {
                session.increment("n", 1).unwrap();
                if n < 3 {
                    session.regenerate().unwrap();
                }
                start.wait().await;
                let saved = session.save().await;
                (saved, n < 3, session.id())
            });
        }
        let (mut acknowledged, mut winner) = (0, None);
        for (saved, rotates, id) in tasks.join_all().await {
            match saved {
                Ok(()) => {
                    acknowledged += 1;
                    if rotates {
                        assert!(winner.is_none(), "two changes of id won");
                        winner = id;
                    }
                }
                Err(err) => assert_eq!(err.kind(), ErrorKind::Gone, "{err}"),
            }
        }
        let session = two.load(&winner.unwrap()).await.unwrap();
        assert_eq!(session.get::<i64>("n").unwrap(), Some(acknowledged));
        assert_eq!(one.load(&id).await.unwrap().status(), Status::Unknown);
        assert_eq!(one.revoke_all().await.unwrap(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn revocation_catches_sessions_that_change_their_id() {
    let [one, two] = processes();
    let owner = session_core::Owner::new("tom").unwrap();
    for _ in 0..1000 {
        let session = one.create();
        session.bind("tom").unwrap();
        session.save().await.unwrap();
        let start = Arc::new(Barrier::new(2));
        let racing = tokio::spawn({
            let start = Arc::clone(&start);
            async move {
                session.regenerate().unwrap();
                start.wait().await;
                drop(session.save().await);
            }
        });
        start.wait().await;
        two.revoke(&owner, None).await.unwrap();
        racing.await.unwrap();
        assert_eq!(one.count().await.unwrap(), 0);
    }
}
