//! Owners, pages and what keeps them true.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use session_core::{
    ErrorKind, Owner, PageRequest, SessionHandler, SessionKey, WriteMode, WriteOptions,
};

use crate::support::{HOUR, Place, SECOND, create, creating, key, kind, replacing};

fn ann() -> Owner {
    Owner::new("ann").unwrap()
}

fn bob() -> Owner {
    Owner::new("bob").unwrap()
}

/// Returns the keys that the index gives for an owner, a page of two at a time.
async fn owned(place: &Place, owner: &Owner) -> Vec<SessionKey> {
    let index = place.handler.index().unwrap();
    let mut request = PageRequest::first(2);
    let mut keys = Vec::new();
    loop {
        let page = index.sessions(owner, &request).await.unwrap();
        assert!(page.items.len() <= 2);
        assert!(page.items.iter().all(|meta| meta.owner.as_ref() == Some(owner)));
        keys.extend(page.items.iter().map(|meta| meta.key));
        match page.next {
            Some(cursor) => request = PageRequest::at(cursor, 2),
            None => return keys,
        }
    }
}

/// Returns how many markers lie on the disk.
fn markers(place: &Place) -> usize {
    let Ok(shards) = fs::read_dir(place.base().join("owners")) else { return 0 };
    let entries = shards.flat_map(|shard| fs::read_dir(shard.unwrap().path()).unwrap());
    entries.filter(|entry| entry.as_ref().unwrap().file_name() != ".lock").count()
}

#[tokio::test]
async fn the_index_follows_every_change() {
    let place = Place::new();
    for number in [3, 1, 2] {
        let options = creating().with_owner(ann());
        place.handler.write(&key(number), "".into(), &options).await.unwrap();
    }
    create(&place.handler, &key(4), b"nobody's").await;
    assert_eq!(owned(&place, &ann()).await, [key(1), key(2), key(3)]);

    place.handler.write(&key(1), "".into(), &replacing().with_owner(bob())).await.unwrap();
    assert_eq!(owned(&place, &ann()).await, [key(2), key(3)]);
    assert_eq!(owned(&place, &bob()).await, [key(1)]);

    place.handler.write(&key(1), "".into(), &replacing()).await.unwrap();
    let pointer = replacing().with_owner(ann()).as_pointer();
    place.handler.write(&key(2), "".into(), &pointer).await.unwrap();
    assert!(owned(&place, &bob()).await.is_empty());
    assert_eq!(owned(&place, &ann()).await, [key(3)]);
    assert_eq!(markers(&place), 1);

    place.handler.destroy(&key(3), None).await.unwrap();
    assert_eq!(markers(&place), 0);
}

#[tokio::test]
async fn expired_sessions_leave_the_index_and_gc_their_markers() {
    let place = Place::new();
    let options = WriteOptions::new(WriteMode::Create, SECOND).with_owner(ann());
    place.handler.write(&key(1), "".into(), &options).await.unwrap();
    place.clock.advance(SECOND);
    assert!(owned(&place, &ann()).await.is_empty());
    assert_eq!(place.handler.gc(&Default::default()).await.unwrap().removed, 1);
    assert_eq!(markers(&place), 0);
}

#[tokio::test]
async fn markers_that_a_crash_left_go_when_they_are_met() {
    let place = Place::new();
    for number in [1, 2] {
        let options = creating().with_owner(ann());
        place.handler.write(&key(number), "".into(), &options).await.unwrap();
        fs::remove_file(place.file(&key(number))).unwrap();
    }
    assert_eq!(markers(&place), 2);
    assert!(owned(&place, &ann()).await.is_empty());
    assert_eq!(markers(&place), 0, "met by the index");

    place.handler.write(&key(1), "".into(), &creating().with_owner(ann())).await.unwrap();
    fs::remove_file(place.file(&key(1))).unwrap();
    place.handler.gc(&Default::default()).await.unwrap();
    assert_eq!(markers(&place), 0, "met by gc");
}

#[tokio::test]
async fn revoking_spares_the_exception_and_other_owners_and_ends() {
    let place = Place::new();
    for (number, owner) in [(1, ann()), (2, ann()), (3, ann()), (4, bob())] {
        let options = creating().with_owner(owner);
        place.handler.write(&key(number), "".into(), &options).await.unwrap();
    }
    let index = place.handler.index().unwrap();
    assert_eq!(index.revoke(&ann(), Some(&key(1))).await.unwrap(), 2);
    assert_eq!(owned(&place, &ann()).await, [key(1)]);
    assert_eq!(index.revoke(&ann(), None).await.unwrap(), 1);
    assert_eq!(index.revoke(&ann(), None).await.unwrap(), 0);
    assert_eq!(owned(&place, &bob()).await, [key(4)]);
}

#[tokio::test]
async fn a_revocation_ends_what_cannot_be_read_at_the_moment() {
    let place = Place::new();
    for number in 1..=4 {
        let options = creating().with_owner(ann());
        place.handler.write(&key(number), "".into(), &options).await.unwrap();
    }
    let snapshot = place.dir.path().join("snapshot");
    fs::hard_link(place.file(&key(1)), &snapshot).unwrap();
    fs::set_permissions(place.file(&key(2)), fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(place.file(&key(3)), "damaged").unwrap();
    let index = place.handler.index().unwrap();
    assert_eq!(index.revoke(&ann(), None).await.unwrap(), 4);
    fs::remove_file(&snapshot).unwrap();
    for number in 1..=4 {
        assert_eq!(place.read(&key(number)).await, None);
    }
    assert_eq!(markers(&place), 0);
}

#[tokio::test]
async fn a_session_that_cannot_be_removed_keeps_no_other_from_being_revoked() {
    let place = Place::new();
    for number in 1..=3 {
        let options = creating().with_owner(ann());
        place.handler.write(&key(number), "".into(), &options).await.unwrap();
    }
    fs::remove_file(place.file(&key(1))).unwrap();
    fs::create_dir(place.file(&key(1))).unwrap();
    let index = place.handler.index().unwrap();
    assert_eq!(kind(index.revoke(&ann(), None).await), ErrorKind::Corrupt);
    for number in 2..=3 {
        assert_eq!(place.read(&key(number)).await, None);
    }
}

#[tokio::test]
async fn a_cap_ends_the_oldest_and_never_the_one_to_keep() {
    let place = Place::new();
    for number in [5, 4, 3, 2, 1] {
        let options = creating().with_owner(ann());
        place.handler.write(&key(number), "".into(), &options).await.unwrap();
        place.clock.advance(SECOND);
    }
    let index = place.handler.index().unwrap();
    assert_eq!(index.cap(&ann(), 3, &key(5)).await.unwrap(), 2);
    assert_eq!(owned(&place, &ann()).await, [key(1), key(2), key(5)]);
    assert_eq!(index.cap(&ann(), 3, &key(1)).await.unwrap(), 0);
}

#[tokio::test]
async fn a_session_that_stays_is_on_exactly_one_page() {
    let place = Place::new();
    let keys: Vec<_> = (0..40_u8)
        .map(|number| {
            let mut bytes = [number % 3; 32];
            bytes[31] = number;
            SessionKey::from_bytes(bytes)
        })
        .collect();
    for key in &keys {
        create(&place.handler, key, b"").await;
    }
    place.handler.write(&key(9), "".into(), &creating().as_pointer()).await.unwrap();
    let lister = place.handler.lister().unwrap();
    let mut request = PageRequest::first(7);
    let mut seen = Vec::new();
    loop {
        let page = lister.list(&request).await.unwrap();
        seen.extend(page.items.iter().map(|meta| meta.key));
        // What comes and goes meanwhile moves nobody to another page.
        create(&place.handler, &key(100 + seen.len() as u8), b"").await;
        place.handler.destroy(&key(100 + seen.len() as u8), None).await.unwrap();
        match page.next {
            Some(cursor) => request = PageRequest::at(cursor, 7),
            None => break,
        }
    }
    let mut sorted = keys.clone();
    sorted.sort();
    assert_eq!(seen, sorted);
    assert_eq!(lister.count().await.unwrap(), 40);
    place.clock.advance(HOUR);
    assert_eq!(lister.count().await.unwrap(), 0);
}
