//! The manager and its sessions.

use loom::future::block_on;
use session_core::Status;

use crate::support::{both, load, manager, stored};

#[test]
fn what_two_requests_change_is_all_there() {
    loom::model(|| {
        let sessions = manager();
        let id = stored(&sessions);
        let (one, two) = (load(&sessions, &id), load(&sessions, &id));
        one.set("one", 1).unwrap();
        one.increment("visits", 1).unwrap();
        two.set("two", 2).unwrap();
        two.increment("visits", 1).unwrap();
        let (first, second) =
            both(move || block_on(one.save()).is_ok(), || block_on(two.save()).is_ok());
        assert!(first && second);
        let session = load(&sessions, &id);
        assert_eq!(session.get::<u8>("one").unwrap(), Some(1));
        assert_eq!(session.get::<u8>("two").unwrap(), Some(2));
        assert_eq!(session.get::<u8>("visits").unwrap(), Some(2));
    });
}

#[test]
fn tasks_of_one_request_share_a_session() {
    loom::model(|| {
        let sessions = manager();
        let id = stored(&sessions);
        let session = load(&sessions, &id);
        let clone = session.clone();
        both(
            move || {
                clone.increment("visits", 1).unwrap();
                block_on(clone.save()).unwrap();
            },
            || {
                session.increment("visits", 1).unwrap();
                block_on(session.save()).unwrap();
            },
        );
        assert_eq!(load(&sessions, &id).get::<u8>("visits").unwrap(), Some(2));
    });
}

#[test]
fn a_save_does_not_undo_a_logout() {
    loom::model(|| {
        let sessions = manager();
        let id = stored(&sessions);
        let (one, two) = (load(&sessions, &id), load(&sessions, &id));
        one.set("one", 1).unwrap();
        two.destroy().unwrap();
        let (_, ended) =
            both(move || block_on(one.save()).is_ok(), || block_on(two.save()).is_ok());
        assert!(ended);
        assert_ne!(load(&sessions, &id).status(), Status::Loaded);
    });
}

#[test]
fn a_change_of_id_and_a_logout_leave_nothing() {
    loom::model(|| {
        let sessions = manager();
        let id = stored(&sessions);
        let (one, two) = (load(&sessions, &id), load(&sessions, &id));
        one.regenerate().unwrap();
        two.destroy().unwrap();
        let (new, ended) = both(
            move || block_on(one.save()).ok().and_then(|()| one.id()),
            || block_on(two.save()).is_ok(),
        );
        assert!(ended);
        for id in [Some(id), new].into_iter().flatten() {
            assert_ne!(load(&sessions, &id).status(), Status::Loaded);
        }
    });
}

#[test]
fn who_waits_for_the_end_of_a_session_hears_of_it() {
    loom::model(|| {
        let sessions = manager();
        let id = stored(&sessions);
        let (stream, page) = (load(&sessions, &id), load(&sessions, &id));
        page.destroy().unwrap();
        // A wait that nobody ends is found by loom: then no thread can go on.
        let (_, ended) = both(move || block_on(stream.ended()), || block_on(page.save()).is_ok());
        assert!(ended);
    });
}
