//! What others put under our names, and what disks make of our bytes.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};

use session_core::{ErrorKind, SessionHandler, SessionManager};
use session_file::{Durability, FileConfig, FileHandler};

use crate::support::{HOUR, Place, create, creating, key, kind, replacing};

/// Nothing works on the record but ending it.
async fn assert_refused(place: &Place, what: &str) {
    let handler = &place.handler;
    assert_eq!(kind(handler.read(&key(1)).await), ErrorKind::Corrupt, "read {what}");
    assert_eq!(kind(handler.touch(&key(1), HOUR).await), ErrorKind::Corrupt, "touch {what}");
    let written = handler.write(&key(1), "x".into(), &replacing()).await;
    assert_eq!(kind(written), ErrorKind::Corrupt, "replace {what}");
    let written = handler.write(&key(1), "x".into(), &creating()).await;
    assert_eq!(kind(written), ErrorKind::AlreadyExists, "create over {what}");
    let report = handler.gc(&Default::default()).await.unwrap();
    assert_eq!((report.removed, report.skipped), (0, 1), "gc of {what}");
    assert_eq!(handler.lister().unwrap().count().await.unwrap(), 0, "list {what}");
}

#[tokio::test]
async fn links_pipes_and_directories_under_a_session_s_name_are_refused() {
    let place = Place::new();
    create(&place.handler, &key(1), b"data").await;
    let file = place.file(&key(1));
    let elsewhere = place.dir.path().join("elsewhere");
    fs::rename(&file, &elsewhere).unwrap();
    let before = fs::read(&elsewhere).unwrap();

    symlink(&elsewhere, &file).unwrap();
    assert_refused(&place, "a link to a valid record").await;
    fs::remove_file(&file).unwrap();

    symlink("/nowhere", &file).unwrap();
    assert_refused(&place, "a dangling link").await;
    fs::remove_file(&file).unwrap();

    fs::hard_link(&elsewhere, &file).unwrap();
    assert_refused(&place, "a second link to a valid record").await;
    fs::remove_file(&file).unwrap();

    let made = std::process::Command::new("mkfifo").arg(&file).status().unwrap();
    assert!(made.success());
    assert_refused(&place, "a pipe").await;
    fs::remove_file(&file).unwrap();

    // Bound under a short name, because the path of a socket has 108 bytes.
    let short = place.dir.path().join("s");
    let socket = std::os::unix::net::UnixListener::bind(&short).unwrap();
    fs::rename(&short, &file).unwrap();
    assert_refused(&place, "a socket").await;
    drop(socket);
    fs::remove_file(&file).unwrap();

    fs::create_dir(&file).unwrap();
    assert_refused(&place, "a directory").await;
    assert_eq!(kind(place.handler.destroy(&key(1), None).await), ErrorKind::Corrupt);
    fs::remove_dir(&file).unwrap();

    assert_eq!(fs::read(&elsewhere).unwrap(), before, "nothing was written through a link");
    fs::rename(&elsewhere, &file).unwrap();
    assert_eq!(place.read(&key(1)).await.unwrap(), "data");
}

#[tokio::test]
async fn a_record_that_others_can_read_is_refused() {
    let place = Place::new();
    create(&place.handler, &key(1), b"data").await;
    fs::set_permissions(place.file(&key(1)), fs::Permissions::from_mode(0o644)).unwrap();
    assert_refused(&place, "mode 0644").await;
}

#[tokio::test]
async fn a_link_in_the_place_of_a_shard_is_not_followed() {
    let place = Place::new();
    create(&place.handler, &key(1), b"data").await;
    let trap = place.dir.path().join("trap");
    fs::create_dir(&trap).unwrap();
    symlink(&trap, place.base().join("02")).unwrap();
    assert_eq!(kind(place.handler.read(&key(2)).await), ErrorKind::Corrupt);
    let written = place.handler.write(&key(2), "x".into(), &creating()).await;
    assert_eq!(kind(written), ErrorKind::Corrupt);
    let report = place.handler.gc(&Default::default()).await.unwrap();
    assert_eq!((report.scanned, report.skipped, report.more), (1, 1, false));
    assert_eq!(fs::read_dir(trap).unwrap().count(), 0);
}

#[tokio::test]
async fn every_flipped_bit_and_every_cut_is_reported_and_left_alone() {
    let place = Place::new();
    let owner = session_core::Owner::new("ann").unwrap();
    let options = creating().with_owner(owner);
    place.handler.write(&key(1), "payload".into(), &options).await.unwrap();
    let file = place.file(&key(1));
    let good = fs::read(&file).unwrap();

    for bit in 0..good.len() * 8 {
        let mut flipped = good.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(&file, &flipped).unwrap();
        assert_eq!(kind(place.handler.read(&key(1)).await), ErrorKind::Corrupt, "bit {bit}");
    }
    for len in 0..good.len() {
        fs::write(&file, &good[..len]).unwrap();
        assert_eq!(kind(place.handler.read(&key(1)).await), ErrorKind::Corrupt, "cut to {len}");
    }
    fs::write(&file, [&good[..], b"\0"].concat()).unwrap();
    assert_refused(&place, "a byte too many").await;
    fs::write(&file, vec![0; good.len()]).unwrap();
    assert_refused(&place, "zeros").await;
    fs::write(&file, b"").unwrap();
    assert_refused(&place, "an empty file").await;
    fs::write(&file, b"#!/bin/sh\nexit 0\n").unwrap();
    assert_refused(&place, "a script").await;
    let mut future = good.clone();
    future[8] += 1;
    fs::write(&file, &future).unwrap();
    assert_refused(&place, "a record of a later version").await;
    let err = place.handler.read(&key(1)).await.unwrap_err();
    assert!(err.to_string().contains("upgrade"), "{err}");
    assert_eq!(fs::read(&file).unwrap(), future, "left alone");

    fs::write(&file, &good).unwrap();
    assert_eq!(place.read(&key(1)).await.unwrap(), "payload");
}

#[tokio::test]
async fn a_damaged_session_can_still_be_ended() {
    let place = Place::new();
    create(&place.handler, &key(1), b"data").await;
    let version = place.handler.read(&key(1)).await.unwrap().unwrap().version;
    fs::write(place.file(&key(1)), b"damaged").unwrap();
    let ended = place.handler.destroy(&key(1), Some(&version)).await;
    assert_eq!(kind(ended), ErrorKind::Corrupt, "nobody can tell its version");
    assert!(place.handler.destroy(&key(1), None).await.unwrap());
    assert_eq!(place.read(&key(1)).await, None);
}

#[tokio::test]
async fn records_that_were_swapped_are_noticed() {
    let place = Place::new();
    let sibling = {
        let mut bytes = *key(1).as_bytes();
        bytes[31] = 2;
        session_core::SessionKey::from_bytes(bytes)
    };
    create(&place.handler, &key(1), b"of one").await;
    create(&place.handler, &sibling, b"of another").await;
    let (one, another) = (place.file(&key(1)), place.file(&sibling));
    let spare = place.dir.path().join("spare");
    fs::rename(&one, &spare).unwrap();
    fs::rename(&another, &one).unwrap();
    fs::rename(&spare, &another).unwrap();
    for key in [key(1), sibling] {
        assert_eq!(kind(place.handler.read(&key).await), ErrorKind::Corrupt);
    }
}

#[tokio::test]
async fn a_payload_over_the_limit_is_refused_before_anything_is_written() {
    let place = Place::new();
    let config =
        FileConfig::new(place.base()).with_durability(Durability::Process).with_max_record_bytes(4);
    let small = FileHandler::new(config).unwrap();
    assert_eq!(small.info().max_payload, Some(4));
    let refused = SessionManager::builder(small.clone()).build().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidConfig);
    let refused = refused.to_string();
    assert!(refused.contains("max_bytes") && refused.contains("max_record_bytes"), "{refused}");
    SessionManager::builder(place.handler.clone()).build().unwrap();
    create(&small, &key(1), b"1234").await;
    let written = small.write(&key(1), "12345".into(), &replacing()).await;
    assert_eq!(kind(written), ErrorKind::TooLarge);
    assert_eq!(small.read(&key(1)).await.unwrap().unwrap().payload, "1234");
    assert_eq!(place.names(&key(1)), [".lock".to_owned(), key(1).to_string()]);

    // A file that claims to be huge is not read into memory.
    let file = fs::OpenOptions::new().write(true).open(place.file(&key(1))).unwrap();
    file.set_len(1 << 40).unwrap();
    assert_eq!(kind(small.read(&key(1)).await), ErrorKind::Corrupt);
}

#[tokio::test]
async fn the_times_of_a_file_say_nothing_about_its_session() {
    let place = Place::new();
    create(&place.handler, &key(1), b"data").await;
    let file = fs::File::options().append(true).open(place.file(&key(1))).unwrap();
    for years in [-30_i64, 30] {
        let now = std::time::SystemTime::now();
        let by = std::time::Duration::from_secs(years.unsigned_abs() * 31_556_952);
        file.set_modified(if years < 0 { now - by } else { now + by }).unwrap();
        assert_eq!(place.handler.gc(&Default::default()).await.unwrap().removed, 0);
        assert_eq!(place.read(&key(1)).await.unwrap(), "data");
    }
}

#[tokio::test]
async fn a_planted_lock_file_is_not_followed() {
    let place = Place::new();
    place.handler.open().await.unwrap();
    let target = place.dir.path().join("target");
    fs::File::create(&target).unwrap().write_all(b"untouched").unwrap();
    fs::create_dir(place.base().join("01")).unwrap();
    symlink(&target, place.base().join("01/.lock")).unwrap();
    let written = place.handler.write(&key(1), "x".into(), &creating()).await;
    assert_eq!(kind(written), ErrorKind::Corrupt);
    assert_eq!(fs::read(target).unwrap(), b"untouched");
}

#[tokio::test]
async fn a_spare_file_that_is_linked_elsewhere_is_left_to_others_and_stops_no_writer() {
    let place = Place::new();
    create(&place.handler, &key(1), b"old").await;
    place.handler.write(&key(1), "new".into(), &replacing()).await.unwrap();
    let spare = place.base().join("01/.spare");
    let snapshot = place.dir.path().join("snapshot");
    fs::hard_link(&spare, &snapshot).unwrap();
    let before = fs::read(&snapshot).unwrap();
    place.handler.write(&key(1), "newer".into(), &replacing()).await.unwrap();
    assert_eq!(place.read(&key(1)).await.unwrap(), "newer");

    fs::remove_file(&spare).unwrap();
    symlink(&snapshot, &spare).unwrap();
    place.handler.write(&key(1), "newest".into(), &replacing()).await.unwrap();
    assert_eq!(place.read(&key(1)).await.unwrap(), "newest");
    assert_eq!(fs::read(&snapshot).unwrap(), before, "nothing was written through a link");
    assert!(fs::symlink_metadata(&spare).unwrap().is_file());
}

#[tokio::test]
async fn errors_and_debug_show_neither_keys_nor_payloads() {
    let place = Place::new();
    create(&place.handler, &key(1), b"secret").await;
    fs::write(place.file(&key(1)), b"secret secret").unwrap();
    let err = place.handler.read(&key(1)).await.unwrap_err();
    let shown = format!("{err} {err:?} {:?}", place.handler);
    assert!(!shown.contains("secret") && !shown.contains(&key(1).to_string()), "{shown}");
}
