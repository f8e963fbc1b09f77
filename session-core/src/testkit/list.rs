//! Listing, for handlers that can.

use std::collections::BTreeSet;

use super::schedule::{Schedule, Task};
use super::support::*;
use crate::{
    Cursor, ErrorKind, Owner, PageRequest, SessionHandler, SessionKey, SessionLister, SessionMeta,
    Version,
};

/// An empty store has an empty listing.
pub async fn an_empty_store_lists_nothing(handler: &dyn SessionHandler) {
    let Some(lister) = handler.lister() else { return };
    assert!(walk(lister, 10).await.is_empty(), "the kit needs an empty store of its own");
    assert_eq!(lister.count().await.expect("count"), 0);
}

/// Every live session is on exactly one page, whatever the size of the pages.
pub async fn every_session_is_on_one_page(handler: &dyn SessionHandler) {
    let Some(lister) = handler.lister() else { return };
    let keys = created(handler, 100).await;
    for limit in [1, 7, 100, 1000] {
        assert_eq!(listed(lister, limit).await, keys, "pages of {limit}");
    }
    assert_eq!(lister.count().await.expect("count"), 100);
}

/// A store that holds thousands of sessions lists them in pages of some hundreds.
pub async fn thousands_of_sessions_are_listed_in_pages(handler: &dyn SessionHandler) {
    let Some(lister) = handler.lister() else { return };
    let keys = fresh_keys(2_000);
    // At once, as many as a small pool of connections bears.
    for wave in keys.chunks(16) {
        let create = |key| -> Task<'_, Version> { Box::pin(create(handler, key, "listed", LONG)) };
        Schedule::Staggered(0).run(wave.iter().map(create).collect()).await;
    }
    assert_eq!(listed(lister, 500).await, keys.into_iter().collect());
}

/// Sessions that live through a listing are listed once, whatever else happens.
pub async fn a_listing_bears_changes_meanwhile(handler: &dyn SessionHandler) {
    let Some(lister) = handler.lister() else { return };
    let (staying, leaving) = (created(handler, 40).await, created(handler, 40).await);
    let mut leaving = leaving.into_iter();
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = lister.list(&request(cursor, 9)).await.expect("list");
        seen.extend(page.items.into_iter().map(|meta| meta.key));
        for key in leaving.by_ref().take(5) {
            assert!(destroy(handler, &key).await);
        }
        created(handler, 3).await;
        for key in staying.iter().take(3) {
            write(handler, key, "changed", &replacing(LONG)).await;
        }
        cursor = page.next;
        // Three new ones a page may go on for ever; enough is enough.
        if cursor.is_none() || seen.len() > 1000 {
            break;
        }
    }
    let once: BTreeSet<_> = seen.iter().copied().collect();
    assert_eq!(once.len(), seen.len(), "a session was listed twice");
    assert!(staying.is_subset(&once), "a session was not listed");
}

/// Pointers, expired and destroyed sessions are neither listed nor counted.
pub async fn only_live_sessions_are_listed(handler: &dyn SessionHandler) {
    let Some(lister) = handler.lister() else { return };
    let living = created(handler, 5).await;
    let [pointer, turned, destroyed, expiring] = [(); 4].map(|()| fresh_key());
    write(handler, &pointer, "pointer", &creating(LONG).as_pointer()).await;
    create(handler, &turned, "session", LONG).await;
    write(handler, &turned, "pointer", &replacing(LONG).as_pointer()).await;
    create(handler, &destroyed, "destroyed", LONG).await;
    assert!(destroy(handler, &destroyed).await);
    create(handler, &expiring, "expiring", SHORT).await;
    expired(handler, &expiring, SHORT).await;
    assert_eq!(listed(lister, 3).await, living);
    assert_eq!(lister.count().await.expect("count"), 5);

    write(handler, &turned, "session", &replacing(LONG)).await;
    assert!(listed(lister, 3).await.contains(&turned), "a pointer became a session again");
}

/// A listing tells the owner and the times as they were given.
pub async fn a_listing_tells_owner_and_times(handler: &dyn SessionHandler) {
    let Some(lister) = handler.lister() else { return };
    let key = fresh_key();
    let owner = Owner::new("ann").expect("a name");
    let mut options = creating(LONG).with_owner(owner.clone());
    options.age = 10 * LONG;
    write(handler, &key, "first", &options).await;
    let items = walk(lister, 10).await;
    let [SessionMeta { age, idle, remaining, owner: listed, .. }] = &items[..] else {
        panic!("{} sessions are listed, not one", items.len());
    };
    assert!(*age + GRAIN >= 10 * LONG && *age < 11 * LONG, "an age of {age:?}");
    assert!(*idle < LONG, "idle for {idle:?}");
    assert!(*remaining > LONG / 2 && *remaining <= LONG + GRAIN, "{remaining:?} remain");
    // A store without an index may have no place for owners.
    if handler.index().is_some() {
        assert_eq!(listed.as_ref(), Some(&owner));
    }
}

/// A cursor goes through its text form, as a link on a page would carry it.
pub async fn a_cursor_goes_through_text(handler: &dyn SessionHandler) {
    let Some(lister) = handler.lister() else { return };
    let keys = created(handler, 20).await;
    let (mut seen, mut cursor) = (BTreeSet::new(), None);
    loop {
        let page = lister.list(&request(cursor, 6)).await.expect("list");
        seen.extend(page.items.into_iter().map(|meta| meta.key));
        let Some(next) = page.next else { break };
        cursor = Some(Cursor::parse(&next.to_string()).expect("its own text"));
    }
    assert_eq!(seen, keys);
}

/// A cursor that the engine did not make is an error or a place, not a panic.
pub async fn a_forged_cursor_does_no_harm(handler: &dyn SessionHandler) {
    let Some(lister) = handler.lister() else { return };
    created(handler, 5).await;
    for forged in [&b""[..], b"\0", b"999999999999999999999", &[0xff; 32], &[b'x'; 4096]] {
        let cursor = Cursor::new(crate::Bytes::copy_from_slice(forged));
        if let Err(err) = lister.list(&PageRequest::at(cursor, 10)).await {
            assert_eq!(err.kind(), ErrorKind::InvalidInput, "{err}");
        }
    }
}

async fn created(handler: &dyn SessionHandler, count: usize) -> BTreeSet<SessionKey> {
    let keys = fresh_keys(count);
    for key in &keys {
        create(handler, key, "listed", LONG).await;
    }
    keys.into_iter().collect()
}

async fn listed(lister: &dyn SessionLister, limit: usize) -> BTreeSet<SessionKey> {
    let items = walk(lister, limit).await;
    let keys: BTreeSet<_> = items.iter().map(|meta| meta.key).collect();
    assert_eq!(keys.len(), items.len(), "a session was listed twice");
    keys
}

async fn walk(lister: &dyn SessionLister, limit: usize) -> Vec<SessionMeta> {
    let (mut items, mut cursor) = (Vec::new(), None);
    loop {
        let page = lister.list(&request(cursor, limit)).await.expect("list");
        assert!(page.items.len() <= limit, "a page is longer than it may be");
        items.extend(page.items);
        match page.next {
            Some(next) => cursor = Some(next),
            None => return items,
        }
    }
}

/// Asks for the page at a cursor, or for the first.
pub(super) fn request(cursor: Option<Cursor>, limit: usize) -> PageRequest {
    PageRequest { cursor, limit }
}
