//! The save path: made, checked, swapped and removed.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use session_core::{ErrorKind, Registry, SessionHandler};
use session_file::{Durability, FileConfig, FileFactory, FileHandler};
use tempfile::TempDir;

use crate::support::{Place, create, creating, key, kind, replacing};

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

fn handler(path: impl AsRef<Path>) -> FileHandler {
    let config = FileConfig::new(path.as_ref()).with_durability(Durability::Process);
    FileHandler::new(config).unwrap()
}

#[tokio::test]
async fn a_missing_save_path_is_made_for_us_alone() {
    let dir = TempDir::new().unwrap();
    let base = dir.path().join("a/b/sessions");
    for durability in [Durability::Full, Durability::Process] {
        let config = FileConfig::new(&base).with_durability(durability);
        FileHandler::new(config).unwrap().open().await.unwrap();
    }
    for made in ["a", "a/b", "a/b/sessions"] {
        assert_eq!(mode(dir.path().join(made)), 0o700, "{made}");
    }
}

#[tokio::test]
async fn files_are_ours_alone() {
    let place = Place::at(Durability::Full);
    let owner = session_core::Owner::new("ann").unwrap();
    let options = creating().with_owner(owner);
    place.handler.write(&key(1), "data".into(), &options).await.unwrap();
    place.handler.locker().unwrap().try_lock(&key(1), crate::support::HOUR).await.unwrap();
    let mut files = 0;
    let mut todo = vec![place.base()];
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            assert_eq!(mode(&path), 0o700);
            todo.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            assert_eq!(mode(&path), 0o600);
            files += 1;
        }
    }
    assert_eq!(files, 5, "record, grant, marker and two locks");
}

#[tokio::test]
async fn a_linked_save_path_is_refused_with_and_without_a_slash() {
    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join("real")).unwrap();
    symlink(dir.path().join("real"), dir.path().join("link")).unwrap();
    symlink(dir.path().join("nowhere"), dir.path().join("dangling")).unwrap();
    for name in ["link", "link/", "dangling"] {
        let err = handler(dir.path().join(name)).open().await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidConfig, "{name}");
        assert!(err.to_string().contains("symbolic link"), "{err}");
    }
    assert!(!dir.path().join("nowhere").exists());
}

#[tokio::test]
async fn a_save_path_that_others_may_write_to_is_refused() {
    let dir = TempDir::new().unwrap();
    for bits in [0o777, 0o1777, 0o770, 0o702] {
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(bits)).unwrap();
        let err = handler(dir.path()).open().await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::PermissionDenied, "{bits:o}");
        assert!(err.to_string().contains("chmod"), "{err}");
    }
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    handler(dir.path()).open().await.unwrap();
}

#[tokio::test]
async fn a_file_is_no_save_path() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    assert_eq!(kind(handler(dir.path().join("file")).open().await), ErrorKind::InvalidConfig);
}

#[tokio::test]
async fn a_place_where_nothing_can_be_made_is_an_error() {
    let err = handler("/proc/nowhere/sessions").open().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    assert!(err.to_string().contains("cannot be made"), "{err}");
}

#[tokio::test]
async fn a_save_path_that_is_swapped_for_a_link_is_not_followed() {
    let place = Place::new();
    create(&place.handler, &key(1), b"mine").await;
    let (moved, trap) = (place.dir.path().join("moved"), place.dir.path().join("trap"));
    fs::rename(place.base(), &moved).unwrap();
    fs::create_dir(&trap).unwrap();
    symlink(&trap, place.base()).unwrap();

    create(&place.handler, &key(2), b"after the swap").await;
    place.handler.write(&key(1), "changed".into(), &replacing()).await.unwrap();

    assert_eq!(place.read(&key(1)).await.unwrap(), "changed");
    assert_eq!(fs::read_dir(trap).unwrap().count(), 0);
    assert!(moved.join("02").join(key(2).to_string()).exists());
}

#[tokio::test]
async fn a_removed_save_path_is_an_outage_and_not_an_empty_store() {
    let place = Place::new();
    create(&place.handler, &key(1), b"data").await;
    fs::remove_dir_all(place.base()).unwrap();
    let owner = session_core::Owner::new("ann").unwrap();
    let page = session_core::PageRequest::first(9);
    let handler = &place.handler;
    for key in [key(1), key(2)] {
        assert_eq!(kind(handler.read(&key).await), ErrorKind::Unavailable);
        let written = handler.write(&key, "".into(), &creating()).await;
        assert_eq!(kind(written), ErrorKind::Unavailable);
        let written = handler.write(&key, "".into(), &replacing()).await;
        assert_eq!(kind(written), ErrorKind::Unavailable);
        let touched = handler.touch(&key, crate::support::HOUR).await;
        assert_eq!(kind(touched), ErrorKind::Unavailable);
        assert_eq!(kind(handler.destroy(&key, None).await), ErrorKind::Unavailable);
    }
    assert_eq!(kind(handler.gc(&Default::default()).await), ErrorKind::Unavailable);
    assert_eq!(kind(handler.lister().unwrap().count().await), ErrorKind::Unavailable);
    let listed = handler.index().unwrap().sessions(&owner, &page).await;
    assert_eq!(kind(listed), ErrorKind::Unavailable);
    assert!(!place.base().exists());
}

#[tokio::test]
async fn a_store_that_is_emptied_by_hand_goes_on() {
    let place = Place::new();
    let owner = session_core::Owner::new("ann").unwrap();
    let options = creating().with_owner(owner.clone());
    place.handler.write(&key(1), "old".into(), &options).await.unwrap();
    for entry in fs::read_dir(place.base()).unwrap() {
        fs::remove_dir_all(entry.unwrap().path()).unwrap();
    }
    assert_eq!(place.read(&key(1)).await, None);
    assert_eq!(kind(place.handler.write(&key(1), "".into(), &replacing()).await), ErrorKind::Gone);
    place.handler.write(&key(1), "new".into(), &options).await.unwrap();
    assert_eq!(place.read(&key(1)).await.unwrap(), "new");
    assert_eq!(place.handler.index().unwrap().revoke(&owner, None).await.unwrap(), 1);
}

#[tokio::test]
async fn a_uri_names_the_path_and_the_options() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("my sessions");
    let uri = format!("file://{}", path.to_str().unwrap().replace(' ', "%20"));
    let registry = Registry::new().with(FileFactory::new());
    let options = "session.durability=process&session.max_blocking=16&session.max_record_bytes=9";
    let handler = registry.connect(&format!("{uri}?{options}")).await.unwrap();
    assert_eq!((handler.info().name, handler.info().max_payload), ("file", Some(9)));
    assert!(path.is_dir());
    for bad in ["session.durabilty=full", "session.durability=no", "session.max_blocking=0"] {
        let err = registry.connect(&format!("{uri}?{bad}")).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidConfig, "{bad}");
    }
    for bad in ["file:", "file://host/path", "file:///tmp/x?durability=full"] {
        assert_eq!(kind(registry.connect(bad).await), ErrorKind::InvalidConfig, "{bad}");
    }
}
