//! What a save does: merge, refuse, or nothing at all.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use session_core::testkit::ScriptedRandom;
use session_core::{
    Conflict, CookieAction, ErrorKind, Operation, Result, Save, Session, SessionHandler, Status,
};

use super::support::{Rig, SECOND, is_set, key, kind, respond, respond_with, settle};

#[tokio::test]
async fn changes_to_different_keys_both_stay() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("base", 1)).await;
    let (one, two) = (rig.load(&id).await, rig.neighbour().load(&id).await);
    one.set("a", 1).unwrap();
    two.set("b", 2).unwrap();
    two.delete("base").unwrap();
    one.save().await.unwrap();
    two.save().await.unwrap();
    assert_eq!(rig.load(&id).await.keys().unwrap(), ["a", "b"]);
    assert_eq!(two.get::<i64>("a").unwrap(), Some(1), "a save shows what it was merged with");
}

#[tokio::test]
async fn of_two_values_for_one_key_the_later_stays_whole() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("k", [0, 0])).await;
    let (one, two) = (rig.load(&id).await, rig.load(&id).await);
    one.set("k", [1, 1]).unwrap();
    two.set("k", [2, 2]).unwrap();
    two.save().await.unwrap();
    one.save().await.unwrap();
    assert_eq!(rig.load(&id).await.get::<[i64; 2]>("k").unwrap(), Some([1, 1]));
}

#[tokio::test]
async fn strict_sessions_refuse_the_later_save_until_it_is_reloaded() {
    let rig = Rig::with(|p| p.conflict = Conflict::Strict);
    let id = rig.stored(|s| s.set("k", 0)).await;
    let (one, two) = (rig.load(&id).await, rig.load(&id).await);
    one.set("a", 1).unwrap();
    two.set("b", 2).unwrap();
    one.save().await.unwrap();
    for _ in 0..2 {
        let err = two.save().await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Conflict);
        assert!(!err.is_indeterminate());
    }
    two.reload().await.unwrap();
    two.set("b", 2).unwrap();
    two.save().await.unwrap();
    assert_eq!(rig.load(&id).await.keys().unwrap(), ["a", "b", "k"]);
}

#[tokio::test]
async fn the_last_write_wins_whole_where_the_policy_says_so() {
    let rig = Rig::with(|p| p.conflict = Conflict::LastWriteWins);
    let id = rig.stored(|s| s.set("k", 0)).await;
    let (one, two) = (rig.load(&id).await, rig.load(&id).await);
    one.set("a", 1).unwrap();
    two.set("b", 2).unwrap();
    one.save().await.unwrap();
    two.save().await.unwrap();
    assert_eq!(rig.load(&id).await.keys().unwrap(), ["b", "k"]);
}

#[tokio::test]
async fn a_request_may_choose_what_a_conflict_is_for_itself() {
    let policies = [Conflict::Merge, Conflict::Strict, Conflict::LastWriteWins];
    for policy in policies {
        let rig = Rig::with(|p| p.conflict = policy);
        let id = rig.stored(|s| s.set("k", 0)).await;
        let (first, merging, strict, last) =
            (rig.load(&id).await, rig.load(&id).await, rig.load(&id).await, rig.load(&id).await);
        first.set("a", 1).unwrap();
        first.save().await.unwrap();

        strict.set_conflict(Conflict::Strict);
        strict.set("b", 2).unwrap();
        assert_eq!(kind(strict.save().await), ErrorKind::Conflict, "{policy:?}");
        merging.set_conflict(Conflict::Merge);
        merging.set("c", 3).unwrap();
        merging.save().await.unwrap();
        assert_eq!(rig.load(&id).await.keys().unwrap(), ["a", "c", "k"], "{policy:?}");
        last.set_conflict(Conflict::LastWriteWins);
        last.set("d", 4).unwrap();
        last.save().await.unwrap();
        assert_eq!(rig.load(&id).await.keys().unwrap(), ["d", "k"], "{policy:?}");
    }
}

#[tokio::test]
async fn the_last_write_does_not_win_over_a_change_of_id() {
    let rig = Rig::with(|p| p.conflict = Conflict::LastWriteWins);
    let id = rig.stored(|s| s.set("k", 0)).await;
    let (late, rotated) = (rig.load(&id).await, rig.load(&id).await);
    rotated.regenerate().unwrap();
    rotated.save().await.unwrap();
    late.set("k", 9).unwrap();
    assert_eq!(kind(late.save().await), ErrorKind::Gone);
    assert_eq!(rig.load(&id).await.status(), Status::Unknown);
    assert_eq!(rig.peek(&rotated.id().unwrap(), "k").await, Some(0));
    assert_eq!(rig.count().await, 1);
}

#[tokio::test]
async fn a_failed_request_keeps_its_logout_and_its_new_id_and_nothing_else() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("k", 0)).await;
    let session = rig.load(&id).await;
    session.set("k", 1).unwrap();
    session.regenerate().unwrap();
    let (saved, cookie) = respond_with(&session, Save::Endings).await;
    saved.unwrap();
    assert!(is_set(&cookie));
    let id = session.id().unwrap();
    assert_eq!(rig.peek(&id, "k").await, Some(0));

    let session = rig.load(&id).await;
    session.destroy().unwrap();
    session.set("k", 2).unwrap();
    let (saved, cookie) = respond_with(&session, Save::Endings).await;
    saved.unwrap();
    assert_eq!(cookie, CookieAction::Remove);
    assert_eq!(rig.count().await, 0);
}

#[tokio::test]
async fn a_failed_request_neither_saves_nor_prolongs() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("k", 0)).await;
    rig.clock.advance(SECOND * 1000);
    let session = rig.load(&id).await;
    rig.chaos.take_counts();
    session.set("k", 1).unwrap();
    respond_with(&session, Save::Endings).await.0.unwrap();
    let counts = rig.chaos.counts();
    assert_eq!((counts.writes, counts.touches), (0, 0));
    assert!(!session.is_changed());
}

#[tokio::test]
async fn what_could_not_be_saved_is_saved_by_the_next_try() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("n", 1)).await;
    let session = rig.load(&id).await;
    session.increment("n", 1).unwrap();
    session.regenerate().unwrap();
    rig.chaos.fail_once(Operation::Create, ErrorKind::Unavailable);
    assert_eq!(kind(session.save().await), ErrorKind::Unavailable);
    assert_eq!(session.get::<i64>("n").unwrap(), Some(2));
    assert_eq!(session.cookie(), CookieAction::Keep);

    session.increment("n", 1).unwrap();
    session.save().await.unwrap();
    assert_ne!(session.id().unwrap(), id);
    assert_eq!(rig.peek(&session.id().unwrap(), "n").await, Some(3));
    assert_eq!(rig.count().await, 1);
}

#[tokio::test]
async fn a_save_that_may_have_happened_is_not_done_twice() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("n", 1)).await;
    let session = rig.load(&id).await;
    session.increment("n", 1).unwrap();
    rig.chaos.lose_reply(Operation::Write);
    assert!(session.save().await.unwrap_err().is_indeterminate());
    rig.chaos.heal();

    let err = session.save().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Conflict);
    assert!(err.is_indeterminate());
    assert_eq!(rig.peek(&id, "n").await, Some(2));

    session.reload().await.unwrap();
    session.increment("n", 1).unwrap();
    session.save().await.unwrap();
    assert_eq!(rig.peek(&id, "n").await, Some(3));
}

#[tokio::test]
async fn what_is_taken_back_after_a_save_in_doubt_is_written_or_said_to_be_in_doubt() {
    type Change = fn(&Session) -> Result<()>;
    let changes: [(Change, Change); 3] = [
        (|s| s.set("admin", 1), |s| s.delete("admin")),
        (|s| s.increment("n", 1).map(|_| ()), |s| s.increment("n", -1).map(|_| ())),
        (|s| s.flashed::<i64>("notice").map(|_| ()), Session::keep_flash),
    ];
    for (there, back) in changes {
        for happened in [true, false] {
            let rig = Rig::new();
            let id = rig.stored(|s| (s.set("n", 5)?, s.flash("notice", 7)).1).await;
            let before = rig.chaos.read(&key(&id)).await.unwrap().unwrap().payload;
            let session = rig.load(&id).await;
            there(&session).unwrap();
            if happened {
                rig.chaos.lose_reply(Operation::Write);
            } else {
                rig.chaos.fail_once(Operation::Write, ErrorKind::Timeout);
            }
            assert!(session.save().await.unwrap_err().is_indeterminate());
            rig.chaos.heal();
            back(&session).unwrap();
            let (saved, _) = respond(&session).await;
            if happened {
                assert!(saved.unwrap_err().is_indeterminate());
                session.reload().await.unwrap();
                back(&session).unwrap();
                session.save().await.unwrap();
            } else {
                saved.unwrap();
                let stored = rig.chaos.read(&key(&id)).await.unwrap().unwrap();
                assert_eq!(stored.payload, before);
            }
        }
    }
}

#[tokio::test]
async fn a_failed_response_does_not_end_a_doubt() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("k", 1)).await;
    let session = rig.load(&id).await;
    session.set("admin", 1).unwrap();
    rig.chaos.lose_reply(Operation::Write);
    assert!(session.save().await.unwrap_err().is_indeterminate());
    rig.chaos.heal();
    respond_with(&session, Save::Endings).await.0.unwrap();
    session.delete("admin").unwrap();
    assert!(session.save().await.unwrap_err().is_indeterminate());
}

#[tokio::test]
async fn a_save_that_was_in_doubt_and_did_not_happen_can_be_repeated() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("n", 1)).await;
    let session = rig.load(&id).await;
    session.increment("n", 1).unwrap();
    rig.chaos.fail_once(Operation::Write, ErrorKind::Timeout);
    assert!(session.save().await.unwrap_err().is_indeterminate());
    session.save().await.unwrap();
    assert_eq!(rig.peek(&id, "n").await, Some(2));
}

#[tokio::test]
async fn a_caller_who_goes_away_does_not_stop_a_save() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("n", 1)).await;
    let session = rig.load(&id).await;
    session.set("n", 2).unwrap();
    let hold = rig.chaos.hold(Operation::Write);
    let save = tokio::spawn({
        let session = session.clone();
        async move { session.save().await }
    });
    hold.reached().await;
    save.abort();
    assert!(save.await.unwrap_err().is_cancelled());
    hold.release();
    session.save().await.unwrap();
    assert_eq!(rig.peek(&id, "n").await, Some(2));
    assert_eq!(rig.chaos.counts().writes, 1);
}

#[tokio::test]
async fn a_save_that_panics_forgets_nothing_and_blocks_nobody() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("n", 1)).await;
    let session = rig.load(&id).await;
    session.set("a", 1).unwrap();
    let calls = AtomicU32::new(0);
    session
        .update("n", move |n: Option<i64>| {
            let call = calls.fetch_add(1, Ordering::Relaxed);
            assert_ne!(call, 1, "the first replay fails");
            n.map(|n| n + 1)
        })
        .unwrap();
    session.regenerate().unwrap();
    let save = tokio::spawn({
        let session = session.clone();
        async move { session.save().await }
    });
    assert!(save.await.unwrap_err().is_panic());
    assert_eq!(rig.peek(&id, "n").await, Some(1), "the old state is whole");
    assert_eq!(session.get::<i64>("a").unwrap(), Some(1));

    session.save().await.unwrap();
    let new = session.id().unwrap();
    assert_ne!(new, id);
    assert_eq!(rig.peek(&new, "n").await, Some(2));
    assert_eq!(rig.peek(&new, "a").await, Some(1));
}

#[tokio::test]
async fn a_taken_id_is_drawn_again_and_never_overwritten() {
    let rig = Rig::new().with_random(ScriptedRandom::new([1, 1, 1, 2]));
    let first = rig.stored(|s| s.set("n", 1)).await;
    let second = rig.stored(|s| s.set("n", 2)).await;
    assert_ne!(first, second);
    assert_eq!(rig.peek(&first, "n").await, Some(1));
}

#[tokio::test]
async fn a_generator_that_repeats_itself_or_fails_makes_no_session() {
    let rig = Rig::new().with_random(ScriptedRandom::new([1]).repeating());
    let first = rig.stored(|s| s.set("n", 1)).await;
    let session = rig.sessions.create();
    session.set("n", 2).unwrap();
    assert_eq!(kind(session.save().await), ErrorKind::Internal);
    assert_eq!(rig.chaos.counts().creates, 8);
    assert_eq!(rig.peek(&first, "n").await, Some(1));

    let session = rig.load(&first).await;
    session.regenerate().unwrap();
    assert_eq!(kind(session.save().await), ErrorKind::Internal);
    assert_eq!(rig.peek(&first, "n").await, Some(1));

    let rig = Rig::new().with_random(ScriptedRandom::new([]));
    let session = rig.sessions.create();
    session.set("n", 2).unwrap();
    assert_eq!(kind(session.save().await), ErrorKind::Internal);
    assert_eq!(rig.chaos.counts().creates, 0);
}

#[tokio::test]
async fn limits_refuse_a_save_whole() {
    let rig = Rig::with(|p| (p.max_bytes, p.max_keys) = (1000, 3));
    let id = rig.stored(|s| s.set("a", 1)).await;
    let session = rig.load(&id).await;
    session.set("b", 2).unwrap();
    session.set("c", "x".repeat(1000)).unwrap();
    assert_eq!(kind(session.save().await), ErrorKind::TooLarge);
    assert_eq!(rig.load(&id).await.keys().unwrap(), ["a"]);
    session.put([("c", 3), ("d", 4)]).unwrap();
    assert_eq!(kind(session.save().await), ErrorKind::TooLarge);
    session.delete("d").unwrap();
    session.save().await.unwrap();
    assert_eq!(rig.load(&id).await.keys().unwrap(), ["a", "b", "c"]);
}

#[tokio::test]
async fn nothing_new_is_begun_once_the_headers_have_left() {
    let rig = Rig::new();
    let session = rig.sessions.create();
    assert!(session.seal(Save::All).is_none());
    assert_eq!(kind(session.set("k", 1)), ErrorKind::Late);

    let id = rig.stored(|s| s.set("k", 1)).await;
    let session = rig.load(&id).await;
    respond(&session).await.0.unwrap();
    assert_eq!(kind(session.regenerate()), ErrorKind::Late);
    session.set("k", 2).unwrap();
    session.save().await.unwrap();
    assert_eq!(rig.peek(&id, "k").await, Some(2), "a stream may change what is stored");
}

#[tokio::test]
async fn a_late_call_does_not_take_back_a_new_id_that_was_asked_for() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("k", 1)).await;
    let session = rig.load(&id).await;
    session.regenerate().unwrap();
    let work = session.seal(Save::All).unwrap();
    assert_eq!(kind(session.regenerate()), ErrorKind::Late);
    work.await.unwrap();
    assert_ne!(session.id().unwrap(), id);
}

#[tokio::test]
async fn what_a_stream_leaves_unsaved_is_saved_when_it_ends() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("k", 1)).await;
    let session = rig.load(&id).await;
    respond(&session).await.0.unwrap();
    session.set("k", 2).unwrap();
    session.save_detached();
    drop(session);
    settle().await;
    assert_eq!(rig.peek(&id, "k").await, Some(2));
}

#[tokio::test]
async fn what_a_task_leaves_unsaved_after_the_response_is_reported() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("k", 1)).await;
    let session = rig.load(&id).await;
    respond(&session).await.0.unwrap();
    session.set("k", 2).unwrap();
    session.save().await.unwrap();
    drop(session);
    assert_eq!(rig.events.count("Unseen"), 0);

    let session = rig.load(&id).await;
    respond(&session).await.0.unwrap();
    session.set("k", 3).unwrap();
    drop(session);
    assert_eq!(rig.events.count("Unseen"), 1);

    // A save that failed has told whoever called it.
    let session = rig.load(&id).await;
    session.set("k", 4).unwrap();
    rig.chaos.fail_once(Operation::Write, ErrorKind::Unavailable);
    assert_eq!(kind(respond(&session).await.0), ErrorKind::Unavailable);
    drop(session);
    assert_eq!(rig.events.count("Unseen"), 1);
}

#[tokio::test]
async fn a_reload_drops_what_was_changed_and_shows_what_others_wrote() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("k", 1)).await;
    let session = rig.load(&id).await;
    session.set("mine", 1).unwrap();
    let other = rig.load(&id).await;
    other.set("url", 7).unwrap();
    other.save().await.unwrap();
    session.reload().await.unwrap();
    assert_eq!(session.get::<i64>("mine").unwrap(), None);
    assert_eq!(session.get::<i64>("url").unwrap(), Some(7));
}

#[tokio::test]
async fn a_reload_drops_what_a_save_that_panicked_has_left() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("n", 1)).await;
    let session = rig.load(&id).await;
    let calls = AtomicU32::new(0);
    let panics_once = move |n: Option<i64>| {
        assert_ne!(calls.fetch_add(1, Ordering::Relaxed), 1, "the save panics");
        n.map(|n| n + 10)
    };
    session.update("n", panics_once).unwrap();
    let save = tokio::spawn({
        let session = session.clone();
        async move { session.save().await }
    });
    assert!(save.await.unwrap_err().is_panic());
    session.reload().await.unwrap();
    assert_eq!(session.get::<i64>("n").unwrap(), Some(1));
    session.save().await.unwrap();
    assert_eq!(rig.peek(&id, "n").await, Some(1));
}

#[tokio::test]
async fn reloading_a_session_that_ended_is_an_error_every_time() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("k", 1)).await;
    let session = rig.load(&id).await;
    let other = rig.load(&id).await;
    other.destroy().unwrap();
    other.save().await.unwrap();
    for _ in 0..20 {
        assert_eq!(kind(session.reload().await), ErrorKind::Gone);
    }
    assert_eq!(kind(session.set("k", 2)), ErrorKind::Gone);
}

#[tokio::test]
async fn a_reload_waits_for_the_save_that_is_under_way() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("n", 1)).await;
    let session = rig.load(&id).await;
    session.set("n", 2).unwrap();
    let hold = rig.chaos.hold(Operation::Write);
    let save = tokio::spawn({
        let session = session.clone();
        async move { session.save().await }
    });
    hold.reached().await;
    let reload = tokio::spawn({
        let session = session.clone();
        async move { session.reload().await }
    });
    settle().await;
    hold.release();
    save.await.unwrap().unwrap();
    reload.await.unwrap().unwrap();
    assert_eq!(session.get::<i64>("n").unwrap(), Some(2), "a session never goes backwards");
}

#[tokio::test]
async fn a_flush_during_the_first_save_is_not_lost() {
    let rig = Rig::new();
    let session = rig.sessions.create();
    session.set("k", 1).unwrap();
    let hold = rig.chaos.hold(Operation::Create);
    let save = tokio::spawn({
        let session = session.clone();
        async move { session.save().await }
    });
    hold.reached().await;
    session.flush().unwrap();
    assert_eq!(session.get::<i64>("k").unwrap(), None);
    hold.release();
    save.await.unwrap().unwrap();
    session.save().await.unwrap();
    assert_eq!(rig.peek(&session.id().unwrap(), "k").await, None);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_never_answers_is_given_up_at_the_deadline() {
    let rig = Rig::with(|p| p.deadline = Duration::from_millis(200));
    let id = rig.stored(|s| s.set("k", 1)).await;
    let session = rig.load(&id).await;
    session.set("k", 2).unwrap();
    let _never = rig.chaos.hold(Operation::Write);
    let started = tokio::time::Instant::now();
    let err = session.save().await.unwrap_err();
    assert_eq!(started.elapsed(), Duration::from_millis(200));
    assert_eq!(err.kind(), ErrorKind::Timeout);
    assert!(err.is_indeterminate());

    let _never = rig.chaos.hold(Operation::Read);
    let started = tokio::time::Instant::now();
    assert_eq!(kind(rig.sessions.load(&id).await), ErrorKind::Timeout);
    assert_eq!(started.elapsed(), Duration::from_millis(200));
}
