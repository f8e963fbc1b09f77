//! The memory engine.

use loom::future::block_on;
use session_core::{
    ErrorKind, GcRequest, ManualClock, MemoryHandler, Owner, PageRequest, SessionHandler,
    SessionIndex, WriteMode, WriteOptions,
};
use std::sync::Arc;
use std::time::Duration;

use crate::support::{HOUR, both, create, key, write};

#[test]
fn of_two_writes_at_one_version_one_is_refused() {
    loom::model(|| {
        let handler = MemoryHandler::new();
        let options = WriteOptions::new(WriteMode::IfVersion(create(&handler, &key(1))), HOUR);
        let (other, same) = (handler.clone(), options.clone());
        let (one, two) = both(
            move || write(&other, &key(1), same).map_err(|err| err.kind()),
            || write(&handler, &key(1), options).map_err(|err| err.kind()),
        );
        let refused = [one, two].into_iter().filter_map(Result::err).collect::<Vec<_>>();
        assert_eq!(refused, [ErrorKind::Conflict]);
    });
}

/// Loom would tell nothing if it did not find this.
#[test]
#[should_panic(expected = "both have written")]
fn a_look_before_a_write_is_not_enough() {
    loom::model(|| {
        let handler = MemoryHandler::new();
        let version = create(&handler, &key(1));
        let (other, same) = (handler.clone(), version.clone());
        let looked = |handler: &MemoryHandler, version| {
            let stored = block_on(handler.read(&key(1))).unwrap().unwrap();
            stored.version == version
                && write(handler, &key(1), WriteOptions::new(WriteMode::Replace, HOUR)).is_ok()
        };
        let (one, two) = both(move || looked(&other, same), || looked(&handler, version));
        assert!(!(one && two), "both have written");
    });
}

#[test]
fn a_write_does_not_undo_a_logout() {
    loom::model(|| {
        let handler = MemoryHandler::new();
        let version = create(&handler, &key(1));
        let other = handler.clone();
        let options = WriteOptions::new(WriteMode::IfVersion(version), HOUR);
        let (written, ended) = both(
            move || write(&other, &key(1), options).map_err(|err| err.kind()),
            || block_on(handler.destroy(&key(1), None)).unwrap(),
        );
        assert!(ended);
        assert!(written.is_ok() || written == Err(ErrorKind::Gone));
        assert!(block_on(handler.read(&key(1))).unwrap().is_none());
    });
}

#[test]
fn of_two_who_create_a_key_one_has_it() {
    loom::model(|| {
        let handler = MemoryHandler::new();
        let other = handler.clone();
        let options = WriteOptions::new(WriteMode::Create, HOUR);
        let same = options.clone();
        let (one, two) = both(
            move || write(&other, &key(1), same).map_err(|err| err.kind()),
            || write(&handler, &key(1), options).map_err(|err| err.kind()),
        );
        let refused = [one, two].into_iter().filter_map(Result::err).collect::<Vec<_>>();
        assert_eq!(refused, [ErrorKind::AlreadyExists]);
    });
}

#[test]
fn the_index_agrees_with_the_records() {
    loom::model(|| {
        let handler = MemoryHandler::new();
        let ann = Owner::new("ann").unwrap();
        let of_ann = || WriteOptions::new(WriteMode::Replace, HOUR).with_owner(ann.clone());
        create(&handler, &key(1));
        create(&handler, &key(2));
        let (other, options) = (handler.clone(), of_ann());
        // The records are in different shards, and the index is one.
        let (ended, _) = both(
            move || {
                drop(write(&other, &key(1), options));
                block_on(other.destroy(&key(1), None)).unwrap()
            },
            || write(&handler, &key(2), of_ann()).unwrap(),
        );
        assert!(ended);
        let page = block_on(handler.sessions(&ann, &PageRequest::first(10))).unwrap();
        assert_eq!(page.items.iter().map(|item| item.key).collect::<Vec<_>>(), [key(2)]);
    });
}

#[test]
fn a_collection_leaves_what_was_touched() {
    loom::model(|| {
        let clock = ManualClock::new();
        let handler = MemoryHandler::new().with_clock(Arc::new(clock.clone()));
        create(&handler, &key(1));
        clock.advance(HOUR - Duration::from_secs(1));
        let (other, later) = (handler.clone(), clock.clone());
        let (touched, _) = both(
            move || block_on(other.touch(&key(1), HOUR)).unwrap(),
            || {
                later.advance(Duration::from_secs(2));
                block_on(handler.gc(&GcRequest::default())).unwrap()
            },
        );
        assert_eq!(block_on(handler.read(&key(1))).unwrap().is_some(), touched);
    });
}
