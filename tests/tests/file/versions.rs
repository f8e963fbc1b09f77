//! Save paths that other versions of the crate have written to.
//!
//! `golden/file-1` holds what format 1 was when it was new. A later version of
//! the crate that cannot read it has made people's sessions unreadable.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use session_core::testkit::ScriptedRandom;
use session_core::{
    Clock, ErrorKind, Owner, PageRequest, SessionHandler, SessionKey, SessionManager, Status,
    Timestamp,
};
use session_file::{Durability, FileConfig, FileHandler};
use session_tests::files::Place;
use tempfile::TempDir;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/file-1");

/// The moment at which the golden files were made.
#[derive(Clone, Copy, Debug)]
struct Then;

impl Clock for Then {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_760_000_000_000)
    }
}

fn open(path: &Path) -> FileHandler {
    let config = FileConfig::new(path).with_durability(Durability::Process);
    FileHandler::new(config).unwrap().with_clock(Arc::new(Then))
}

fn sessions(path: &Path, draws: impl IntoIterator<Item = u8>) -> SessionManager {
    let manager = SessionManager::builder(open(path)).clock(Then);
    manager.random(ScriptedRandom::new(draws)).build().unwrap()
}

/// Copies a directory, for us alone.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    fs::set_permissions(to, fs::Permissions::from_mode(0o700)).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), &to).unwrap();
            fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
}

/// Writes the golden files: a session of an owner, and one that got a new id.
async fn write(path: &Path) {
    let sessions = sessions(path, [1, 2, 3]);
    let session = sessions.create();
    session.set("text", "kept").unwrap();
    session.set("list", vec![1, 2, 3]).unwrap();
    session.bind("ann").unwrap();
    session.save().await.unwrap();
    let moved = sessions.create();
    moved.set("text", "moved").unwrap();
    moved.save().await.unwrap();
    moved.regenerate().unwrap();
    moved.save().await.unwrap();
}

#[tokio::test]
#[ignore = "writes golden files: for a new format only"]
async fn golden_files_are_written() {
    write(Path::new(GOLDEN)).await;
}

#[tokio::test]
async fn sessions_of_format_1_are_read_and_written_on() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("sessions");
    copy(Path::new(GOLDEN), &path);
    let manager = sessions(&path, []);
    let session = manager.load(&Place::id(1)).await.unwrap();
    assert_eq!(session.status(), Status::Loaded);
    assert_eq!(session.get::<String>("text").unwrap().unwrap(), "kept");
    assert_eq!(session.get::<Vec<u8>>("list").unwrap().unwrap(), [1, 2, 3]);
    let ann = Owner::new("ann").unwrap();
    let page = manager.sessions_of(&ann, &PageRequest::first(9)).await.unwrap();
    assert_eq!(page.items.len(), 1);

    let moved = manager.load(&Place::id(3)).await.unwrap();
    assert_eq!(moved.get::<String>("text").unwrap().unwrap(), "moved");
    let old = manager.load(&Place::id(2)).await.unwrap();
    assert_eq!(old.status(), Status::Unknown, "a pointer gives no access");

    // The version that wrote these files must go on beside this one.
    let file = |key: &SessionKey| Place::new(&path, Durability::Process).file(key);
    let key = SessionKey::of(&Place::id(1));
    let before = fs::read(file(&key)).unwrap();
    session.set("text", "changed").unwrap();
    session.save().await.unwrap();
    let after = fs::read(file(&key)).unwrap();
    assert_eq!((&before[..10], &before[48..80]), (&after[..10], &after[48..80]));
    let again = sessions(&path, []).load(&Place::id(1)).await.unwrap();
    assert_eq!(again.get::<String>("text").unwrap().unwrap(), "changed");
}

#[tokio::test]
async fn a_record_of_a_later_format_is_an_error_and_outlives_this_version() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("sessions");
    copy(Path::new(GOLDEN), &path);
    let key = SessionKey::of(&Place::id(1));
    let file = Place::new(&path, Durability::Process).file(&key);
    let mut bytes = fs::read(&file).unwrap();
    bytes[8] = 2;
    fs::write(&file, &bytes).unwrap();

    let handler = open(&path);
    let err = handler.read(&key).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Corrupt);
    assert!(err.to_string().contains("upgrade"), "{err}");
    assert!(handler.touch(&key, Duration::from_secs(60)).await.is_err());
    let report = handler.gc(&Default::default()).await.unwrap();
    assert_eq!((report.removed, report.skipped), (0, 1));
    let session = sessions(&path, []).load(&Place::id(1)).await.unwrap();
    assert_eq!(session.status(), Status::Unknown);
    let moved = sessions(&path, []).load(&Place::id(3)).await.unwrap();
    assert_eq!(moved.status(), Status::Loaded, "the others go on");
    assert_eq!(fs::read(&file).unwrap(), bytes);
}
