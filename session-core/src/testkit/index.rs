//! The index of owners, for handlers that have it.

use std::collections::BTreeSet;

use super::list::request;
use super::schedule::{SCHEDULES, Task};
use super::support::*;
use crate::{GcRequest, Owner, SessionHandler, SessionIndex, SessionKey, Version, WriteOptions};

/// Whom nobody has heard of has no sessions, and that is no error.
pub async fn an_unknown_owner_has_no_sessions(handler: &dyn SessionHandler) {
    let Some(index) = handler.index() else { return };
    let nobody = owner("nobody");
    assert_eq!(owned(index, &nobody).await, BTreeSet::new());
    assert_eq!(index.revoke(&nobody, None).await.expect("revoke"), 0);
    assert_eq!(index.cap(&nobody, 0, &fresh_key()).await.expect("cap"), 0);
}

/// The index has a session while its record names the owner: from any write
/// that does, to the next that names somebody else or nobody.
pub async fn the_index_follows_writes(handler: &dyn SessionHandler) {
    let Some(index) = handler.index() else { return };
    let (ann, bob, key) = (owner("ann"), owner("bob"), fresh_key());
    let version = create(handler, &key, "anonymous", LONG).await;
    assert_eq!(owned(index, &ann).await, BTreeSet::new());
    let version = write(handler, &key, "ann", &at(version).with_owner(ann.clone())).await;
    assert_eq!(owned(index, &ann).await, [key].into());
    let version = write(handler, &key, "again", &at(version).with_owner(ann.clone())).await;
    assert_eq!(owned(index, &ann).await, [key].into());
    assert!(touch(handler, &key, LONG).await);
    assert_eq!(owned(index, &ann).await, [key].into());
    write(handler, &key, "bob", &at(version).with_owner(bob.clone())).await;
    assert_eq!(owned(index, &ann).await, BTreeSet::new());
    assert_eq!(owned(index, &bob).await, [key].into());
    write(handler, &key, "nobody", &replacing(LONG)).await;
    assert_eq!(owned(index, &bob).await, BTreeSet::new());
    assert_eq!(index.revoke(&bob, None).await.expect("revoke"), 0);
    holds(handler, &key, "nobody").await;
}

/// A destroyed session is in the index no more, and its successor under the
/// same key does not inherit the owner.
pub async fn the_index_follows_destruction(handler: &dyn SessionHandler) {
    let Some(index) = handler.index() else { return };
    let (ann, key) = (owner("ann"), fresh_key());
    let stays = bound(handler, &ann).await;
    for conditional in [false, true] {
        let version = write(handler, &key, "ann", &binding(&ann)).await;
        let only_at = conditional.then_some(&version);
        assert!(handler.destroy(&key, only_at).await.expect("destroy"));
        assert_eq!(owned(index, &ann).await, [stays].into());
        create(handler, &key, "anonymous", LONG).await;
        assert_eq!(owned(index, &ann).await, [stays].into());
        assert!(destroy(handler, &key).await);
    }
    assert_eq!(index.revoke(&ann, None).await.expect("revoke"), 1);
}

/// An expired session is in the index no more, collected or not.
pub async fn the_index_follows_expiry(handler: &dyn SessionHandler) {
    let Some(index) = handler.index() else { return };
    let (ann, key) = (owner("ann"), fresh_key());
    let stays = bound(handler, &ann).await;
    write(handler, &key, "ann", &creating(SHORT).with_owner(ann.clone())).await;
    expired(handler, &key, SHORT).await;
    assert_eq!(owned(index, &ann).await, [stays].into());
    create(handler, &key, "anonymous", LONG).await;
    collect(handler, &GcRequest::default()).await;
    assert_eq!(owned(index, &ann).await, [stays].into());
    assert_eq!(index.revoke(&ann, None).await.expect("revoke"), 1);
    holds(handler, &key, "anonymous").await;
}

/// A touched session stays in the index as long as it lives.
pub async fn the_index_follows_touches(handler: &dyn SessionHandler) {
    let Some(index) = handler.index() else { return };
    // A machine that is too slow for one lifetime gets a longer one.
    for doublings in 0..10 {
        let (ann, key) = (owner("ann"), fresh_key());
        let lifetime = SHORT * (4 << doublings);
        write(handler, &key, "ann", &creating(lifetime).with_owner(ann.clone())).await;
        if touch(handler, &key, LONG).await {
            pass(handler, 2 * lifetime).await;
            collect(handler, &GcRequest::default()).await;
            assert_eq!(owned(index, &ann).await, [key].into());
            assert_eq!(index.revoke(&ann, None).await.expect("revoke"), 1);
            gone(handler, &key).await;
            return;
        }
    }
    panic!("a session expires before it can be touched, even if it has minutes to live");
}

/// Pointers are never in the index, although they may name an owner.
pub async fn pointers_are_not_in_the_index(handler: &dyn SessionHandler) {
    let Some(index) = handler.index() else { return };
    let (ann, pointer) = (owner("ann"), fresh_key());
    write(handler, &pointer, "pointer", &binding(&ann).as_pointer()).await;
    let turned = bound(handler, &ann).await;
    let turning = replacing(LONG).with_owner(ann.clone()).as_pointer();
    write(handler, &turned, "pointer", &turning).await;
    assert_eq!(owned(index, &ann).await, BTreeSet::new());
    assert_eq!(index.revoke(&ann, None).await.expect("revoke"), 0);
    holds(handler, &turned, "pointer").await;
}

/// An owner's sessions come in pages, each session on one of them.
pub async fn an_owners_sessions_come_in_pages(handler: &dyn SessionHandler) {
    let Some(index) = handler.index() else { return };
    let (ann, bob) = (owner("ann"), owner("bob"));
    let mut keys = BTreeSet::new();
    for _ in 0..25 {
        keys.insert(bound(handler, &ann).await);
        bound(handler, &bob).await;
    }
    for limit in [1, 4, 25, 100] {
        assert_eq!(paged(index, &ann, limit).await, keys, "pages of {limit}");
    }
}

/// Revoking ends every session of the owner and nobody else's.
pub async fn revoking_ends_all_sessions_of_an_owner(handler: &dyn SessionHandler) {
    let Some(index) = handler.index() else { return };
    let (ann, bob) = (owner("ann"), owner("bob"));
    let mut keys = Vec::new();
    for _ in 0..20 {
        keys.push(bound(handler, &ann).await);
    }
    let (other, anonymous) = (bound(handler, &bob).await, fresh_key());
    create(handler, &anonymous, "anonymous", LONG).await;
    assert_eq!(index.revoke(&ann, None).await.expect("revoke"), 20);
    for key in &keys {
        gone(handler, key).await;
    }
    holds(handler, &other, "bound").await;
    holds(handler, &anonymous, "anonymous").await;
    assert_eq!(index.revoke(&ann, None).await.expect("revoke"), 0);
}

/// Revoking all but one ends all but that one, as after a change of password.
pub async fn revoking_spares_the_exception(handler: &dyn SessionHandler) {
    let Some(index) = handler.index() else { return };
    let ann = owner("ann");
    let [first, kept, last] =
        [bound(handler, &ann).await, bound(handler, &ann).await, bound(handler, &ann).await];
    assert_eq!(index.revoke(&ann, Some(&kept)).await.expect("revoke"), 2);
    gone(handler, &first).await;
    gone(handler, &last).await;
    holds(handler, &kept, "bound").await;
    assert_eq!(owned(index, &ann).await, [kept].into());
    assert_eq!(index.revoke(&ann, Some(&fresh_key())).await.expect("revoke"), 1);
}

/// A session that changes its id while it is revoked gets away under neither.
pub async fn a_session_that_changes_its_id_is_revoked(handler: &dyn SessionHandler) {
    let Some(index) = handler.index() else { return };
    for schedule in SCHEDULES {
        for revoke_first in [true, false] {
            let (ann, old, new) = (&owner("ann"), fresh_key(), fresh_key());
            let version = write(handler, &old, "bound", &binding(ann)).await;
            let mut tasks: Vec<Task<'_, ()>> = vec![
                Box::pin(async move {
                    index.revoke(ann, None).await.expect("revoke");
                }),
                Box::pin(change_id(handler, ann, old, new, version)),
            ];
            if !revoke_first {
                tasks.reverse();
            }
            schedule.run(tasks).await;
            for key in [old, new] {
                assert!(read(handler, &key).await.is_none(), "it got away ({schedule:?})");
            }
            assert_eq!(owned(index, ann).await, BTreeSet::new());
        }
    }
}

/// A write that races with a revocation does not bring the session back.
pub async fn a_racing_write_does_not_undo_a_revocation(handler: &dyn SessionHandler) {
    let Some(index) = handler.index() else { return };
    for schedule in SCHEDULES {
        for position in [0, 3] {
            let ann = &owner("ann");
            let key = bound(handler, ann).await;
            let mut tasks: Vec<_> = (0..3)
                .map(|_| -> Task<'_, ()> {
                    let options = replacing(LONG).with_owner(ann.clone());
                    // May come before the revocation or be refused after it.
                    Box::pin(
                        async move { drop(handler.write(&key, "late".into(), &options).await) },
                    )
                })
                .collect();
            let revoking: Task<'_, ()> = Box::pin(async move {
                let revoked = index.revoke(ann, None).await.expect("revoke");
                assert_eq!(revoked, 1, "{schedule:?}");
            });
            tasks.insert(position, revoking);
            schedule.run(tasks).await;
            gone(handler, &key).await;
            assert_eq!(owned(index, ann).await, BTreeSet::new());
        }
    }
}

/// A cap ends the oldest sessions until so many are left.
pub async fn a_cap_ends_the_oldest_sessions(handler: &dyn SessionHandler) {
    let Some(index) = handler.index() else { return };
    let ann = owner("ann");
    let keys = aged(handler, &ann, 6).await;
    let newest = keys[5];
    assert_eq!(index.cap(&ann, 6, &newest).await.expect("cap"), 0);
    assert_eq!(index.cap(&ann, 4, &newest).await.expect("cap"), 2);
    gone(handler, &keys[0]).await;
    gone(handler, &keys[1]).await;
    assert_eq!(owned(index, &ann).await, keys[2..].iter().copied().collect());
}

/// A cap never ends the session that it is told to keep, not even the oldest
/// one, not even at zero.
pub async fn a_cap_spares_the_session_to_keep(handler: &dyn SessionHandler) {
    let Some(index) = handler.index() else { return };
    let ann = owner("ann");
    let keys = aged(handler, &ann, 4).await;
    assert_eq!(index.cap(&ann, 2, &keys[0]).await.expect("cap"), 2);
    assert_eq!(owned(index, &ann).await, [keys[0], keys[3]].into());
    assert_eq!(index.cap(&ann, 0, &keys[0]).await.expect("cap"), 1);
    assert_eq!(owned(index, &ann).await, [keys[0]].into());
    holds(handler, &keys[0], "aged").await;
}

/// Expired sessions and pointers take up no place under a cap.
pub async fn a_cap_counts_live_sessions_only(handler: &dyn SessionHandler) {
    let Some(index) = handler.index() else { return };
    let (ann, dying, pointer) = (owner("ann"), fresh_key(), fresh_key());
    write(handler, &dying, "dying", &creating(SHORT).with_owner(ann.clone())).await;
    write(handler, &pointer, "pointer", &binding(&ann).as_pointer()).await;
    let keys = aged(handler, &ann, 2).await;
    expired(handler, &dying, SHORT).await;
    assert_eq!(index.cap(&ann, 2, &keys[1]).await.expect("cap"), 0);
    assert_eq!(owned(index, &ann).await, keys.into_iter().collect());
    holds(handler, &pointer, "pointer").await;
}

fn owner(name: &str) -> Owner {
    Owner::new(name).expect("a name")
}

fn binding(owner: &Owner) -> WriteOptions {
    creating(LONG).with_owner(owner.clone())
}

async fn bound(handler: &dyn SessionHandler, owner: &Owner) -> SessionKey {
    let key = fresh_key();
    write(handler, &key, "bound", &binding(owner)).await;
    key
}

/// Creates sessions of different ages, the oldest first.
async fn aged(handler: &dyn SessionHandler, owner: &Owner, count: u32) -> Vec<SessionKey> {
    let keys = fresh_keys(count as usize);
    for (key, older) in keys.iter().zip((0..count).rev()) {
        let mut options = binding(owner);
        options.age = older * LONG;
        write(handler, key, "aged", &options).await;
    }
    keys
}

/// Changes a session's id: the new one first, then the old one at its version.
async fn change_id(
    handler: &dyn SessionHandler,
    owner: &Owner,
    old: SessionKey,
    new: SessionKey,
    version: Version,
) {
    write(handler, &new, "bound", &binding(owner)).await;
    if !handler.destroy(&old, Some(&version)).await.expect("destroy") {
        destroy(handler, &new).await;
    }
}

async fn owned(index: &dyn SessionIndex, owner: &Owner) -> BTreeSet<SessionKey> {
    paged(index, owner, 100).await
}

async fn paged(index: &dyn SessionIndex, owner: &Owner, limit: usize) -> BTreeSet<SessionKey> {
    let (mut keys, mut cursor) = (BTreeSet::new(), None);
    loop {
        let page = index.sessions(owner, &request(cursor, limit)).await.expect("sessions");
        assert!(page.items.len() <= limit, "a page is longer than it may be");
        for meta in page.items {
            assert!(keys.insert(meta.key), "a session is on two pages");
        }
        match page.next {
            Some(next) => cursor = Some(next),
            None => return keys,
        }
    }
}
