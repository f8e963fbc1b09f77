//! Lifetimes, modes and leftovers, as they lie on the disk.

use std::fs;

use session_core::{ErrorKind, SessionHandler, WriteMode, WriteOptions};
use session_file::Durability;

use crate::support::{HOUR, Place, SECOND, at_version, create, creating, key, kind, replacing};

#[tokio::test]
async fn nothing_but_the_lock_and_a_spare_is_left_beside_the_record() {
    for durability in [Durability::Full, Durability::Process] {
        let place = Place::at(durability);
        let mut names = vec![".lock".to_owned()];
        create(&place.handler, &key(1), b"one").await;
        place.handler.write(&key(1), "two".into(), &replacing()).await.unwrap();
        let refused = place.handler.write(&key(1), "no".into(), &creating()).await;
        assert_eq!(kind(refused), ErrorKind::AlreadyExists);
        if durability == Durability::Process {
            names.push(".spare".to_owned());
        }
        assert_eq!(place.names(&key(1)), [&names[..], &[key(1).to_string()]].concat());
        place.handler.destroy(&key(1), None).await.unwrap();
        let refused = place.handler.write(&key(1), "no".into(), &replacing()).await;
        assert_eq!(kind(refused), ErrorKind::Gone);
        assert_eq!(place.names(&key(1)), names);
    }
}

#[tokio::test]
async fn another_handler_finds_what_one_has_written() {
    let place = Place::new();
    create(&place.handler, &key(1), b"data").await;
    let another = place.another();
    let stored = another.read(&key(1)).await.unwrap().unwrap();
    assert_eq!((&stored.payload[..], stored.remaining), (&b"data"[..], Some(HOUR)));
    another.write(&key(1), "changed".into(), &at_version(stored.version)).await.unwrap();
    assert_eq!(place.read(&key(1)).await.unwrap(), "changed");
    assert!(another.destroy(&key(1), None).await.unwrap());
    assert_eq!(place.read(&key(1)).await, None);
}

#[tokio::test]
async fn a_touch_moves_the_deadline_in_place_and_never_back() {
    let place = Place::at(Durability::Full);
    let options = WriteOptions::new(WriteMode::Create, 10 * SECOND).with_absolute(30 * SECOND);
    let version = place.handler.write(&key(1), "data".into(), &options).await.unwrap();
    let before = fs::metadata(place.file(&key(1))).unwrap();
    let remaining = async || place.handler.read(&key(1)).await.unwrap().unwrap().remaining.unwrap();

    place.clock.advance(5 * SECOND);
    assert!(place.handler.touch(&key(1), 10 * SECOND).await.unwrap());
    assert_eq!(remaining().await, 10 * SECOND);
    assert!(place.handler.touch(&key(1), SECOND).await.unwrap());
    assert_eq!(remaining().await, 10 * SECOND);
    assert!(place.handler.touch(&key(1), HOUR).await.unwrap());
    assert_eq!(remaining().await, 25 * SECOND);

    use std::os::unix::fs::MetadataExt;
    let after = fs::metadata(place.file(&key(1))).unwrap();
    assert_eq!((before.ino(), before.len()), (after.ino(), after.len()));
    let stored = place.handler.read(&key(1)).await.unwrap().unwrap();
    assert_eq!((stored.version, &stored.payload[..]), (version, &b"data"[..]));
    place.clock.advance(25 * SECOND);
    assert!(!place.handler.touch(&key(1), HOUR).await.unwrap());
}

#[tokio::test]
async fn an_expired_record_is_free_to_be_created_over_and_to_nothing_else() {
    let place = Place::new();
    let short = WriteOptions::new(WriteMode::Create, SECOND);
    let first = place.handler.write(&key(1), "old".into(), &short).await.unwrap();
    place.clock.advance(SECOND);
    assert!(place.file(&key(1)).exists());
    assert_eq!(place.read(&key(1)).await, None);
    for late in [replacing(), at_version(first.clone())] {
        assert_eq!(kind(place.handler.write(&key(1), "".into(), &late).await), ErrorKind::Gone);
    }
    let second = place.handler.write(&key(1), "new".into(), &short).await.unwrap();
    assert_ne!(first, second);
    assert_eq!(place.read(&key(1)).await.unwrap(), "new");
    place.clock.advance(SECOND);
    assert!(!place.handler.destroy(&key(1), None).await.unwrap());
    assert!(!place.file(&key(1)).exists());
}

#[tokio::test]
async fn a_version_does_not_come_back_with_its_key() {
    let place = Place::new();
    create(&place.handler, &key(1), b"one").await;
    let old = place.handler.read(&key(1)).await.unwrap().unwrap().version;
    place.handler.destroy(&key(1), None).await.unwrap();
    create(&place.handler, &key(1), b"two").await;
    let stale = place.handler.write(&key(1), "stale".into(), &at_version(old.clone())).await;
    assert_eq!(kind(stale), ErrorKind::Conflict);
    assert_eq!(kind(place.handler.destroy(&key(1), Some(&old)).await), ErrorKind::Conflict);
}

#[tokio::test]
async fn a_fence_holds_across_handlers_and_numbers_never_repeat() {
    let place = Place::new();
    create(&place.handler, &key(1), b"data").await;
    let another = place.another();
    let (here, there) = (place.handler.locker().unwrap(), another.locker().unwrap());
    let mut last = here.try_lock(&key(1), SECOND).await.unwrap().unwrap();
    assert_eq!(there.try_lock(&key(1), SECOND).await.unwrap(), None);
    let fenced = |token| replacing().with_fence(token);
    for _ in 0..3 {
        assert!(there.unlock(&key(1), last).await.unwrap());
        let late = place.handler.write(&key(1), "late".into(), &fenced(last)).await;
        assert_eq!(kind(late), ErrorKind::Locked);
        let next = there.try_lock(&key(1), SECOND).await.unwrap().unwrap();
        assert!(next > last);
        assert!(!here.renew(&key(1), last, HOUR).await.unwrap());
        let late = place.handler.write(&key(1), "late".into(), &fenced(last)).await;
        assert_eq!(kind(late), ErrorKind::Locked);
        another.write(&key(1), "held".into(), &fenced(next)).await.unwrap();
        last = next;
    }
    place.clock.advance(2 * SECOND);
    another.write(&key(1), "slow".into(), &fenced(last)).await.unwrap();
    assert!(here.try_lock(&key(1), SECOND).await.unwrap().unwrap() > last);
}
