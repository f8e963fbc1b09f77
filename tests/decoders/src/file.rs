//! A record of the file engine.

use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use session_core::{ErrorKind, GcRequest, PageRequest, SessionHandler, SessionKey};
use session_file::{Durability, FileConfig, FileHandler};
use tempfile::TempDir;

use crate::wait;

/// The key that the file's name says.
pub(crate) const KEY: SessionKey = SessionKey::from_bytes([7; 32]);

/// A save path of this thread.
struct Place {
    handler: FileHandler,
    file: PathBuf,
    _dir: TempDir,
}

impl Place {
    fn new() -> Self {
        // In memory, where there is such a place.
        let memory = PathBuf::from("/dev/shm");
        let dir = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
        let dir = dir.expect("a directory");
        let config =
            FileConfig::new(dir.path().join("sessions")).with_durability(Durability::Process);
        let handler = FileHandler::new(config).expect("possible settings");
        wait(handler.open()).expect("a save path");
        let name = KEY.to_string();
        let shard = dir.path().join("sessions").join(&name[..2]);
        fs::create_dir(&shard).expect("a directory");
        fs::set_permissions(&shard, fs::Permissions::from_mode(0o700)).expect("ours");
        let file = shard.join(name);
        Self { handler, file, _dir: dir }
    }
}

thread_local! {
    static PLACE: RefCell<Place> = RefCell::new(Place::new());
}

/// Makes the checksums right, so that what lies behind them is reached.
fn repair(bytes: &mut [u8]) {
    if bytes.len() < 108 {
        return;
    }
    let owner = usize::from(bytes[11]).min(bytes.len() - 108);
    let payload = crc32fast::hash(&bytes[108 + owner..]);
    bytes[80..84].copy_from_slice(&payload.to_le_bytes());
    let mut head = crc32fast::Hasher::new();
    head.update(&bytes[..84]);
    head.update(&bytes[108..108 + owner]);
    bytes[84..88].copy_from_slice(&head.finalize().to_le_bytes());
    let life = crc32fast::hash(&bytes[88..104]);
    bytes[104..108].copy_from_slice(&life.to_le_bytes());
}

/// A file is a session, none, or damage; listing and collecting bear it, and it
/// can always be ended. The first byte says whether the checksums are made right, and
/// whether there is a walk.
pub fn file_record(bytes: &[u8]) {
    let Some((how, bytes)) = bytes.split_first() else { return };
    let mut bytes = bytes.to_vec();
    if how % 2 == 1 {
        repair(&mut bytes);
    }
    PLACE.with_borrow(|Place { handler, file, .. }| {
        fs::write(file, &bytes).expect("room");
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).expect("ours");
        wait(async {
            let found = handler.read(&KEY).await;
            match &found {
                Ok(Some(stored)) => assert!(stored.payload.len() < bytes.len()),
                Ok(None) => {}
                Err(err) => assert_eq!(err.kind(), ErrorKind::Corrupt, "{err}"),
            }
            // A touch looks at all but the payload.
            match handler.touch(&KEY, Duration::from_secs(60)).await {
                Ok(touched) if found.is_ok() => {
                    let live = handler.read(&KEY).await.expect("as whole as before").is_some();
                    assert_eq!(live, found.is_ok_and(|found| found.is_some()));
                    // What leads from an old id to a new one is no session to touch.
                    assert_eq!(touched, live && bytes[10] == 0);
                }
                Ok(_) => {}
                Err(err) => assert_eq!(err.kind(), ErrorKind::Corrupt, "{err}"),
            }
            // Walks over all directories, so not for every input.
            if how / 2 % 8 == 0 {
                let lister = handler.lister().expect("files can be listed");
                lister.list(&PageRequest::first(9)).await.expect("damage is passed over");
                handler.gc(&GcRequest::default()).await.expect("damage is passed over");
            }
            handler.destroy(&KEY, None).await.expect("it can be ended");
            assert!(handler.read(&KEY).await.expect("the store works").is_none());
        });
    });
}
