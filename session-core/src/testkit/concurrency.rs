//! Calls that race. Each is one step, whatever runs beside it.

use super::schedule::{SCHEDULES, Task};
use super::support::*;
use crate::{
    Bytes, ErrorKind, GcRequest, Result, SessionHandler, SessionKey, Version, WriteMode,
    WriteOptions,
};

/// How many callers race.
const RACERS: usize = 6;

/// Of parallel creations of one key exactly one wins, and its payload is stored.
pub async fn of_parallel_creations_one_wins(handler: &dyn SessionHandler) {
    for schedule in SCHEDULES {
        let key = fresh_key();
        let results = schedule.run(writers(handler, key, &creating(LONG))).await;
        winner(handler, &key, &results, &[ErrorKind::AlreadyExists]).await;
    }
}

/// Of parallel writes from one version exactly one wins; the others conflict.
pub async fn of_parallel_writes_from_one_version_one_wins(handler: &dyn SessionHandler) {
    for schedule in SCHEDULES {
        let key = fresh_key();
        let version = create(handler, &key, "first", LONG).await;
        let results = schedule.run(writers(handler, key, &at(version))).await;
        winner(handler, &key, &results, &[ErrorKind::Conflict]).await;
    }
}

/// Of parallel creations over an expired record exactly one wins.
pub async fn of_parallel_creations_over_an_expired_record_one_wins(handler: &dyn SessionHandler) {
    let keys = fresh_keys(SCHEDULES.len());
    for key in &keys {
        create(handler, key, "expired", SHORT).await;
    }
    for (schedule, key) in SCHEDULES.into_iter().zip(keys) {
        expired(handler, &key, SHORT).await;
        let results = schedule.run(writers(handler, key, &creating(LONG))).await;
        winner(handler, &key, &results, &[ErrorKind::AlreadyExists]).await;
    }
}

/// Parallel counters that retry on a conflict lose no increment.
pub async fn parallel_increments_all_count(handler: &dyn SessionHandler) {
    const EACH: u64 = 5;
    for schedule in SCHEDULES {
        let key = fresh_key();
        write_number(handler, &key, 0, &creating(LONG)).await.expect("create");
        let tasks = (0..RACERS).map(|_| -> Task<'_, ()> {
            Box::pin(async move {
                for _ in 0..EACH {
                    while !increment(handler, &key).await {
                        tokio::task::yield_now().await;
                    }
                }
            })
        });
        schedule.run(tasks.collect()).await;
        let total = number(&stored(handler, &key).await.payload);
        assert_eq!(total, RACERS as u64 * EACH, "increments were lost ({schedule:?})");
    }
}

/// A write that races with a destruction never brings the session back.
pub async fn a_racing_write_does_not_undo_a_destruction(handler: &dyn SessionHandler) {
    for schedule in SCHEDULES {
        for position in [0, RACERS / 2, RACERS] {
            let key = fresh_key();
            let version = create(handler, &key, "first", LONG).await;
            let mut tasks = ignored(writers(handler, key, &replacing(LONG)));
            tasks.extend(ignored(writers(handler, key, &at(version))));
            tasks.insert(position, destroying(handler, key));
            schedule.run(tasks).await;
            gone(handler, &key).await;
        }
    }
}

/// A touch that races with a destruction never brings the session back.
pub async fn a_racing_touch_does_not_undo_a_destruction(handler: &dyn SessionHandler) {
    for schedule in SCHEDULES {
        for position in [0, RACERS / 2, RACERS] {
            let key = fresh_key();
            create(handler, &key, "first", LONG).await;
            let mut tasks: Vec<_> = (0..RACERS).map(|_| touching(handler, key)).collect();
            tasks.insert(position, destroying(handler, key));
            schedule.run(tasks).await;
            gone(handler, &key).await;
        }
    }
}

/// A touch that races with a write neither undoes it nor makes it conflict.
pub async fn a_racing_touch_does_not_undo_a_write(handler: &dyn SessionHandler) {
    for schedule in SCHEDULES {
        for position in [0, RACERS / 2, RACERS] {
            let key = fresh_key();
            let version = create(handler, &key, "first", LONG).await;
            let mut tasks: Vec<_> = (0..RACERS).map(|_| touching(handler, key)).collect();
            let written: Task<'_, ()> = Box::pin(async move {
                write(handler, &key, "second", &at(version)).await;
            });
            tasks.insert(position, written);
            schedule.run(tasks).await;
            holds(handler, &key, "second").await;
        }
    }
}

/// Of parallel destructions exactly one finds the session.
pub async fn of_parallel_destructions_one_is_true(handler: &dyn SessionHandler) {
    for schedule in SCHEDULES {
        let key = fresh_key();
        create(handler, &key, "first", LONG).await;
        let tasks = (0..RACERS)
            .map(|_| -> Task<'_, bool> { Box::pin(async move { destroy(handler, &key).await }) });
        let found = schedule.run(tasks.collect()).await;
        let found = found.into_iter().filter(|found| *found).count();
        assert_eq!(found, 1, "{found} destructions found the session ({schedule:?})");
        gone(handler, &key).await;
    }
}

/// Of a write and a destruction from one version exactly one wins.
pub async fn of_a_write_and_a_destruction_from_one_version_one_wins(handler: &dyn SessionHandler) {
    for schedule in SCHEDULES {
        for destroy_first in [true, false] {
            let key = fresh_key();
            let version = create(handler, &key, "first", LONG).await;
            let same = version.clone();
            let mut tasks: Vec<Task<'_, bool>> = vec![
                Box::pin(async move {
                    let result = handler.write(&key, "second".into(), &at(version)).await;
                    expect_refusal(result, ErrorKind::Gone).is_some()
                }),
                Box::pin(async move {
                    let result = handler.destroy(&key, Some(&same)).await;
                    expect_refusal(result, ErrorKind::Conflict) == Some(true)
                }),
            ];
            if destroy_first {
                tasks.reverse();
            }
            let won = schedule.run(tasks).await;
            let [written, destroyed] =
                if destroy_first { [won[1], won[0]] } else { [won[0], won[1]] };
            assert!(written != destroyed, "both won, or neither ({schedule:?})");
            if written {
                holds(handler, &key, "second").await;
            } else {
                gone(handler, &key).await;
            }
        }
    }
}

/// Garbage collection that races with touches, around the moment when the
/// lifetimes end, removes none that was touched in time.
pub async fn a_racing_gc_never_removes_what_was_touched(handler: &dyn SessionHandler) {
    for schedule in SCHEDULES {
        let keys = fresh_keys(RACERS);
        let mut tasks: Vec<Task<'_, Vec<SessionKey>>> = vec![Box::pin(async move {
            let witness = fresh_key();
            create(handler, &witness, "witness", 2 * SHORT).await;
            while read(handler, &witness).await.is_some() {
                collect(handler, &GcRequest::default()).await;
                tokio::task::yield_now().await;
            }
            Vec::new()
        })];
        for (key, delay) in keys.into_iter().zip(0..) {
            tasks.push(Box::pin(async move {
                create(handler, &key, "first", SHORT).await;
                // The last of them come too late, and may.
                tokio::time::sleep(delay * SHORT / (RACERS as u32 - 2)).await;
                if touch(handler, &key, LONG).await { vec![key] } else { Vec::new() }
            }));
        }
        let touched = schedule.run(tasks).await.concat();
        collect(handler, &GcRequest::default()).await;
        for key in touched {
            holds(handler, &key, "first").await;
        }
    }
}

/// Garbage collection that saw a record expired does not remove its successor.
pub async fn a_racing_gc_never_removes_a_successor(handler: &dyn SessionHandler) {
    for schedule in SCHEDULES {
        for gc_first in [true, false] {
            let key = fresh_key();
            create(handler, &key, "expired", SHORT).await;
            expired(handler, &key, SHORT).await;
            let mut tasks: Vec<Task<'_, ()>> = vec![
                Box::pin(async move {
                    collect(handler, &GcRequest::default()).await;
                }),
                Box::pin(async move {
                    create(handler, &key, "successor", LONG).await;
                }),
            ];
            if !gc_first {
                tasks.reverse();
            }
            schedule.run(tasks).await;
            holds(handler, &key, "successor").await;
        }
    }
}

/// Readers beside a writer see whole payloads, and none that is older than what
/// they saw before.
pub async fn readers_see_whole_payloads_in_their_order(handler: &dyn SessionHandler) {
    const WRITES: u8 = 20;
    for schedule in SCHEDULES {
        let key = fresh_key();
        handler.write(&key, pattern(0), &creating(LONG)).await.expect("create");
        let mut tasks: Vec<Task<'_, ()>> = vec![Box::pin(async move {
            for number in 1..=WRITES {
                let result = handler.write(&key, pattern(number), &replacing(LONG)).await;
                result.expect("write");
                tokio::task::yield_now().await;
            }
        })];
        for _ in 1..RACERS {
            tasks.push(Box::pin(async move {
                let mut last = 0;
                while last < WRITES {
                    let payload = stored(handler, &key).await.payload;
                    let number = payload[0];
                    assert!(payload == pattern(number), "a reader saw a torn payload");
                    assert!(number >= last, "a reader saw {number} after {last}");
                    last = number;
                    tokio::task::yield_now().await;
                }
            }));
        }
        schedule.run(tasks).await;
    }
}

/// Readers beside parallel writers see one writer's payload or another's, whole.
pub async fn parallel_writers_never_mix_their_payloads(handler: &dyn SessionHandler) {
    for schedule in SCHEDULES {
        let key = fresh_key();
        handler.write(&key, pattern(0), &creating(LONG)).await.expect("create");
        let tasks = (1..=RACERS as u8).map(|number| -> Task<'_, ()> {
            Box::pin(async move {
                for _ in 0..5 {
                    let result = handler.write(&key, pattern(number), &replacing(LONG)).await;
                    result.expect("write");
                    let payload = stored(handler, &key).await.payload;
                    assert!(payload == pattern(payload[0]), "a reader saw a mixed payload");
                }
            })
        });
        schedule.run(tasks.collect()).await;
    }
}

/// Sessions do not see each other, however many change at once.
pub async fn parallel_sessions_do_not_mix(handler: &dyn SessionHandler) {
    for schedule in SCHEDULES {
        let tasks = (0..RACERS as u64).map(|racer| -> Task<'_, ()> {
            Box::pin(async move {
                let key = fresh_key();
                write_number(handler, &key, racer, &creating(LONG)).await.expect("create");
                for round in 1..10 {
                    let next = round * 100 + racer;
                    write_number(handler, &key, next, &replacing(LONG)).await.expect("write");
                    assert_eq!(number(&stored(handler, &key).await.payload), next);
                }
                assert!(destroy(handler, &key).await);
            })
        });
        schedule.run(tasks.collect()).await;
    }
}

/// Makes writers of different payloads: the number of each, as text.
fn writers<'a>(
    handler: &'a dyn SessionHandler,
    key: SessionKey,
    options: &WriteOptions,
) -> Vec<Task<'a, Result<Version>>> {
    let writers = (0..RACERS as u64).map(|racer| -> Task<'a, _> {
        let options = options.clone();
        Box::pin(async move { write_number(handler, &key, racer, &options).await })
    });
    writers.collect()
}

/// Lets tasks race that may win or be refused.
fn ignored<'a, T: Send + 'a>(tasks: Vec<Task<'a, Result<T>>>) -> Vec<Task<'a, ()>> {
    let ignored = tasks.into_iter().map(|task| -> Task<'a, ()> {
        Box::pin(async move {
            if let Err(err) = task.await {
                let kind = err.kind();
                assert!(matches!(kind, ErrorKind::Gone | ErrorKind::Conflict), "{err}");
            }
        })
    });
    ignored.collect()
}

fn destroying(handler: &dyn SessionHandler, key: SessionKey) -> Task<'_, ()> {
    Box::pin(async move {
        assert!(destroy(handler, &key).await, "nobody else destroys this session");
    })
}

fn touching(handler: &dyn SessionHandler, key: SessionKey) -> Task<'_, ()> {
    Box::pin(async move {
        touch(handler, &key, 2 * LONG).await;
    })
}

/// Expects one winner whose payload and version are stored, and losers that
/// were refused for one of these reasons.
async fn winner(
    handler: &dyn SessionHandler,
    key: &SessionKey,
    results: &[Result<Version>],
    refusals: &[ErrorKind],
) {
    let mut winners = Vec::new();
    for (racer, result) in results.iter().enumerate() {
        match result {
            Ok(version) => winners.push((racer as u64, version)),
            Err(err) => assert!(refusals.contains(&err.kind()), "{err}"),
        }
    }
    let [(racer, version)] = winners[..] else {
        panic!("{} of {} racers won; it must be one", winners.len(), results.len());
    };
    let found = stored(handler, key).await;
    assert_eq!(number(&found.payload), racer);
    assert_eq!(found.version, *version);
}

/// Turns this refusal into `None`, and panics at any other error.
fn expect_refusal<T>(result: Result<T>, kind: ErrorKind) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(err) if err.kind() == kind => None,
        Err(err) => panic!("{err}"),
    }
}

async fn write_number(
    handler: &dyn SessionHandler,
    key: &SessionKey,
    number: u64,
    options: &WriteOptions,
) -> Result<Version> {
    handler.write(key, number.to_string().into(), options).await
}

fn number(payload: &[u8]) -> u64 {
    let text = std::str::from_utf8(payload).expect("a number");
    text.parse().expect("a number")
}

/// Adds one to the number that is stored. `false` if somebody else came first.
async fn increment(handler: &dyn SessionHandler, key: &SessionKey) -> bool {
    let found = stored(handler, key).await;
    let options = WriteOptions::new(WriteMode::IfVersion(found.version), LONG);
    let result = write_number(handler, key, number(&found.payload) + 1, &options).await;
    expect_refusal(result, ErrorKind::Conflict).is_some()
}

/// Makes a large payload of one byte, with a length that depends on it.
fn pattern(number: u8) -> Bytes {
    vec![number; 64 * 1024 + 1000 * usize::from(number)].into()
}
