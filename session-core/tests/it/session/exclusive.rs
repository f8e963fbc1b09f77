//! One request at a time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use session_core::{
    Access, ErrorKind, Exclusive, MemoryHandler, Operation, Policy, Save, SessionLocker,
    SessionManager, Status,
};

use super::support::{Rig, SECOND, key, kind, respond, settle};

const WAIT: Duration = Duration::from_secs(5);

fn exclusive(policy: &mut Policy) {
    policy.exclusive = Some(Exclusive::new(WAIT, Duration::from_secs(30)));
}

#[tokio::test(start_paused = true)]
async fn requests_come_one_after_the_other_and_in_their_order() {
    let rig = Rig::with(exclusive);
    let id = rig.stored(|s| s.set("n", 0)).await;
    let first = rig.load(&id).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for number in 0..10 {
        let (rig, id, order) = (rig.clone(), id.clone(), Arc::clone(&order));
        tasks.push(tokio::spawn(async move {
            let session = rig.load(&id).await;
            order.lock().unwrap().push(number);
            let n: i64 = session.get("n").unwrap().unwrap();
            tokio::task::yield_now().await;
            session.set("n", n + 1).unwrap();
            respond(&session).await.0.unwrap();
        }));
        settle().await;
    }
    assert!(order.lock().unwrap().is_empty(), "the lock is held");
    respond(&first).await.0.unwrap();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), (0..10).collect::<Vec<_>>());
    assert_eq!(rig.peek(&id, "n").await, Some(10));
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_lock_ends_in_time_with_a_typed_error() {
    for neighbour in [false, true] {
        let rig = Rig::with(exclusive);
        let id = rig.stored(|s| s.set("n", 0)).await;
        let _held = rig.load(&id).await;
        let other = if neighbour { rig.neighbour() } else { rig.clone() };
        let started = tokio::time::Instant::now();
        assert_eq!(kind(other.sessions.load(&id).await), ErrorKind::Locked);
        // The wait is measured by the clock of the machine, and spent on that of the test.
        let waited = started.elapsed();
        assert!(waited <= WAIT && waited > WAIT / 2, "{waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_sessions_in_opposite_order_end_by_the_deadline_and_not_never() {
    let rig = Rig::with(exclusive);
    let one = rig.stored(|s| s.set("n", 0)).await;
    let two = rig.stored(|s| s.set("n", 0)).await;
    let (held_one, held_two) = (rig.load(&one).await, rig.load(&two).await);
    let crossing = {
        let (rig, one) = (rig.clone(), one.clone());
        tokio::spawn(async move {
            let _held = held_two;
            kind(rig.sessions.load(&one).await)
        })
    };
    let mine = kind(rig.sessions.load(&two).await);
    assert_eq!((mine, crossing.await.unwrap()), (ErrorKind::Locked, ErrorKind::Locked));
    drop(held_one);
    settle().await;
    assert_eq!(rig.load(&two).await.status(), Status::Loaded);
}

#[tokio::test(start_paused = true)]
async fn a_lock_is_freed_when_its_request_ends_is_dropped_or_panics() {
    let rig = Rig::with(exclusive);
    let id = rig.stored(|s| s.set("n", 0)).await;
    let locks = MemoryLocks(&rig);

    let session = rig.load(&id).await;
    assert!(locks.is_held(&id).await);
    respond(&session).await.0.unwrap();
    assert!(!locks.is_held(&id).await, "the response frees it, though the session lives on");

    drop(rig.load(&id).await);
    settle().await;
    assert!(!locks.is_held(&id).await);

    let session = rig.load(&id).await;
    let request = tokio::spawn(async move {
        let _session = session;
        panic!("a handler fails");
    });
    assert!(request.await.unwrap_err().is_panic());
    settle().await;
    assert!(!locks.is_held(&id).await);

    let session = rig.load(&id).await;
    session.unlock().await;
    assert!(!locks.is_held(&id).await);

    let session = rig.load(&id).await;
    session.set("n", 1).unwrap();
    rig.chaos.fail_once(Operation::Write, ErrorKind::Unavailable);
    assert!(respond(&session).await.0.is_err());
    assert!(!locks.is_held(&id).await, "a failed save frees it too");
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_goes_away_while_loading_leaves_no_lock_behind() {
    let rig = Rig::with(exclusive);
    let id = rig.stored(|s| s.set("n", 0)).await;
    for operation in [Operation::Lock, Operation::Read] {
        let hold = rig.chaos.hold_reply(operation);
        let load = tokio::spawn({
            let (rig, id) = (rig.clone(), id.clone());
            async move { rig.sessions.load(&id).await }
        });
        hold.reached().await;
        load.abort();
        assert!(load.await.unwrap_err().is_cancelled());
        rig.chaos.heal();
        settle().await;
        assert!(!MemoryLocks(&rig).is_held(&id).await, "{operation}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_with_several_ids_leaves_no_lock_behind() {
    let rig = Rig::with(exclusive);
    let one = rig.stored(|s| s.set("n", 1)).await;
    let two = rig.stored(|s| s.set("n", 2)).await;
    let locks = MemoryLocks(&rig);

    let ids = [one.clone(), two.clone()];
    let session = rig.sessions.load_any(&ids, Access::ReadWrite).await.unwrap();
    assert_eq!(session.status(), Status::Unknown);
    settle().await;
    assert!(!locks.is_held(&one).await && !locks.is_held(&two).await);

    let twice = [one.clone(), one.clone()];
    let session = rig.sessions.load_any(&twice, Access::ReadWrite).await.unwrap();
    assert_eq!(session.get::<i64>("n").unwrap(), Some(1));
    drop(session);
    settle().await;
    assert!(!locks.is_held(&one).await);

    // The second id's lock cannot be had: the first one's must not stay.
    let _held = rig.load(&two).await;
    assert_eq!(kind(rig.sessions.load_any(&ids, Access::ReadWrite).await), ErrorKind::Locked);
    settle().await;
    assert!(!locks.is_held(&one).await);
}

#[tokio::test(start_paused = true)]
async fn a_holder_whose_lease_passed_to_another_is_refused() {
    let rig = Rig::with(exclusive);
    let id = rig.stored(|s| s.set("n", 0)).await;
    let slow = rig.load(&id).await;
    slow.set("n", 1).unwrap();
    rig.clock.advance(SECOND * 31);
    let next = rig.neighbour().load(&id).await;
    next.set("x", 2).unwrap();
    respond(&next).await.0.unwrap();
    assert_eq!(kind(respond(&slow).await.0), ErrorKind::Locked);
    assert_eq!(rig.peek(&id, "n").await, Some(0));
    assert_eq!(rig.peek(&id, "x").await, Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_late_unlock_does_not_free_the_lock_of_another() {
    let rig = Rig::with(exclusive);
    let id = rig.stored(|s| s.set("n", 0)).await;
    let slow = rig.load(&id).await;
    rig.clock.advance(SECOND * 31);
    let _next = rig.neighbour().load(&id).await;
    drop(slow);
    settle().await;
    assert!(MemoryLocks(&rig).is_held(&id).await);
}

#[tokio::test(start_paused = true)]
async fn a_new_id_ends_the_lock_of_the_old_one_and_later_saves_work() {
    let rig = Rig::with(exclusive);
    let old = rig.stored(|s| s.set("n", 0)).await;
    let session = rig.load(&old).await;
    session.regenerate().unwrap();
    session.save().await.unwrap();
    settle().await;
    assert!(!MemoryLocks(&rig).is_held(&old).await);
    session.set("n", 1).unwrap();
    session.save().await.unwrap();
    session.regenerate().unwrap();
    respond(&session).await.0.unwrap();
    assert_eq!(rig.peek(&session.id().unwrap(), "n").await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_new_session_after_a_destroy_is_not_held_to_the_old_lock() {
    let rig = Rig::with(exclusive);
    let old = rig.stored(|s| s.set("n", 0)).await;
    let session = rig.load(&old).await;
    session.destroy().unwrap();
    session.set("n", 1).unwrap();
    respond(&session).await.0.unwrap();
    assert_eq!(rig.peek(&session.id().unwrap(), "n").await, Some(1));
    assert_eq!(rig.count().await, 1);
}

#[tokio::test(start_paused = true)]
async fn readers_need_no_lock_and_may_not_write() {
    let rig = Rig::with(exclusive);
    let id = rig.stored(|s| s.set("n", 7)).await;
    let _held = rig.load(&id).await;
    let reader = rig.sessions.load_any(&[id], Access::ReadOnly).await.unwrap();
    assert_eq!(reader.get::<i64>("n").unwrap(), Some(7));
    assert_eq!(kind(reader.set("n", 8)), ErrorKind::Unsupported);
    assert!(reader.seal(Save::All).is_none());
}

#[tokio::test(start_paused = true)]
async fn after_an_early_release_changes_are_merged() {
    let rig = Rig::with(exclusive);
    let id = rig.stored(|s| s.set("n", 0)).await;
    let session = rig.load(&id).await;
    session.unlock().await;
    let other = rig.load(&id).await;
    other.increment("n", 1).unwrap();
    respond(&other).await.0.unwrap();
    session.increment("n", 1).unwrap();
    respond(&session).await.0.unwrap();
    assert_eq!(rig.peek(&id, "n").await, Some(2));
}

#[test]
fn impossible_wishes_are_refused_when_the_manager_is_built() {
    let mut policy = Policy::default();
    exclusive(&mut policy);
    policy.exclusive = Some(Exclusive::new(WAIT, Duration::ZERO));
    let err = SessionManager::builder(MemoryHandler::new()).policy(policy).build().unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
}

/// Looks at the locks of the store behind everyone's back.
struct MemoryLocks<'a>(&'a Rig);

impl MemoryLocks<'_> {
    async fn is_held(&self, id: &session_core::SessionId) -> bool {
        let locker: &dyn SessionLocker = &self.0.chaos;
        match locker.try_lock(&key(id), SECOND).await.unwrap() {
            Some(token) => !locker.unlock(&key(id), token).await.unwrap(),
            None => true,
        }
    }
}
