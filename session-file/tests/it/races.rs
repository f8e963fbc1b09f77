//! Two handlers on one directory, as two processes would be, and calls that
//! are given up.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Waker};

use session_core::{Bytes, ErrorKind, Owner, PageRequest, SessionHandler, SessionKey};
use session_file::FileHandler;
use tokio::sync::Barrier;

use crate::support::{HOUR, Place, at_version, create, creating, key, kind, replacing};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_late_save_or_touch_brings_a_destroyed_session_back() {
    let place = Place::new();
    let others: [FileHandler; 2] = [place.another(), place.another()];
    for round in 0..3000 {
        create(&place.handler, &key(1), b"in").await;
        let barrier = Arc::new(Barrier::new(3));
        let savers = others.clone().map(|handler| {
            let barrier = Arc::clone(&barrier);
            tokio::spawn(async move {
                barrier.wait().await;
                let saved = handler.write(&key(1), Bytes::from_static(b"late"), &replacing()).await;
                assert!(saved.is_ok() || kind(saved) == ErrorKind::Gone);
                handler.touch(&key(1), HOUR).await.unwrap();
            })
        });
        barrier.wait().await;
        assert!(place.handler.destroy(&key(1), None).await.unwrap());
        let gone = place.read(&key(1)).await.is_none();
        for saver in savers {
            saver.await.unwrap();
        }
        assert!(gone && place.read(&key(1)).await.is_none(), "round {round}");
    }
    assert!(!place.names(&key(1)).contains(&key(1).to_string()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn increments_through_two_handlers_are_all_counted() {
    let place = Place::new();
    create(&place.handler, &key(1), b"0").await;
    let handlers = [place.handler.clone(), place.another()];
    let barrier = Arc::new(Barrier::new(100));
    let tasks = (0..100).map(|task| {
        let (handler, barrier) = (handlers[task % 2].clone(), Arc::clone(&barrier));
        tokio::spawn(async move {
            barrier.wait().await;
            loop {
                let stored = handler.read(&key(1)).await.unwrap().unwrap();
                let count: u32 = std::str::from_utf8(&stored.payload).unwrap().parse().unwrap();
                let next = (count + 1).to_string();
                match handler.write(&key(1), next.into(), &at_version(stored.version)).await {
                    Ok(_) => return,
                    Err(err) => assert_eq!(err.kind(), ErrorKind::Conflict),
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(place.read(&key(1)).await.unwrap(), "100");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_meet_no_torn_record_while_writers_and_touches_go_on() {
    let place = Place::new();
    let writer = place.another();
    let payloads = [Bytes::from(vec![1; 70_000]), Bytes::from(vec![2; 50_000])];
    place.handler.write(&key(1), payloads[0].clone(), &creating()).await.unwrap();
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let reader = {
        let (handler, done) = (place.handler.clone(), Arc::clone(&done));
        let payloads = payloads.clone();
        tokio::spawn(async move {
            let mut reads = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let stored = handler.read(&key(1)).await.unwrap().unwrap();
                assert!(payloads.contains(&stored.payload));
                reads += 1;
            }
            reads
        })
    };
    for round in 0..500 {
        let payload = payloads[round % 2].clone();
        writer.write(&key(1), payload, &replacing()).await.unwrap();
        for _ in 0..5 {
            assert!(writer.touch(&key(1), HOUR).await.unwrap());
        }
    }
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(reader.await.unwrap() > 0);
}

/// At process durability a file that a write has swapped out is filled by the
/// next write to the shard, perhaps under the eyes of a slow reader.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_never_see_the_session_that_took_over_a_file() {
    let place = Place::new();
    let keys: [SessionKey; 4] = std::array::from_fn(|number| {
        let mut bytes = [9; 32];
        bytes[31] = u8::try_from(number).unwrap();
        SessionKey::from_bytes(bytes)
    });
    // Of one length, so that only the bytes tell them apart.
    let payload = |number: usize| Bytes::from(vec![u8::try_from(number).unwrap(); 30_000]);
    for (number, key) in keys.iter().enumerate() {
        place.handler.write(key, payload(number), &creating()).await.unwrap();
    }
    let writers: Vec<_> = (0..2)
        .map(|_| {
            let writer = place.another();
            tokio::spawn(async move {
                for round in 0..1000 {
                    let number = round % keys.len();
                    writer.write(&keys[number], payload(number), &replacing()).await.unwrap();
                }
            })
        })
        .collect();
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let reader = place.another();
            tokio::spawn(async move {
                for round in 0..4000 {
                    let number = round % keys.len();
                    let stored = reader.read(&keys[number]).await.unwrap().unwrap();
                    assert_eq!(stored.payload, payload(number));
                }
            })
        })
        .collect();
    for task in writers.into_iter().chain(readers) {
        task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_creators_one_wins() {
    let place = Place::new();
    for round in 0..50 {
        let barrier = Arc::new(Barrier::new(8));
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let (handler, barrier) = (place.another(), Arc::clone(&barrier));
                tokio::spawn(async move {
                    barrier.wait().await;
                    handler.write(&key(round), Bytes::new(), &creating()).await
                })
            })
            .collect();
        let mut winners = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(_) => winners += 1,
                Err(err) => assert_eq!(err.kind(), ErrorKind::AlreadyExists),
            }
        }
        assert_eq!(winners, 1);
    }
}

/// Polls a future once and gives it up.
fn abandon<T>(future: impl Future<Output = T>) {
    let mut future = Box::pin(future);
    let _ = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_given_up_leaves_the_old_state_or_the_new() {
    let place = Place::new();
    create(&place.handler, &key(1), b"old").await;
    for _ in 0..200 {
        abandon(place.handler.write(&key(1), "new".into(), &replacing()));
        let seen = place.read(&key(1)).await.unwrap();
        assert!(seen == "old" || seen == "new");
        abandon(place.handler.touch(&key(1), HOUR));
        abandon(place.handler.read(&key(1)));
        place.handler.write(&key(1), "old".into(), &replacing()).await.unwrap();
    }
    abandon(place.handler.destroy(&key(1), None));
    // Every place on the pool has been given back, and no lock is held.
    for number in 0..=255 {
        place.handler.destroy(&key(number), None).await.unwrap();
    }
    assert_eq!(place.read(&key(1)).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_session_that_changes_its_id_does_not_escape_revocation() {
    let place = Place::new();
    let owner = Owner::new("ann").unwrap();
    let options = creating().with_owner(owner.clone());
    for round in 0..300 {
        place.handler.write(&key(0), "data".into(), &options).await.unwrap();
        let barrier = Arc::new(Barrier::new(2));
        let mover = {
            let (handler, barrier) = (place.another(), Arc::clone(&barrier));
            let options = options.clone();
            tokio::spawn(async move {
                barrier.wait().await;
                for number in 1..=5 {
                    // The new record first, then the old is ended: a move that
                    // finds the old one gone takes the new one back.
                    let old = key(number - 1);
                    let Some(stored) = handler.read(&old).await.unwrap() else { return };
                    handler.write(&key(number), "data".into(), &options).await.unwrap();
                    match handler.destroy(&old, Some(&stored.version)).await {
                        Ok(true) => {}
                        _ => {
                            handler.destroy(&key(number), None).await.unwrap();
                            return;
                        }
                    }
                }
            })
        };
        barrier.wait().await;
        let index = place.handler.index().unwrap();
        index.revoke(&owner, None).await.unwrap();
        mover.await.unwrap();
        let left = index.sessions(&owner, &PageRequest::first(9)).await.unwrap();
        assert!(left.items.is_empty(), "round {round}: {:?}", left.items);
    }
}
