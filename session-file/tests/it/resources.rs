//! What the system runs out of: room, inodes, descriptors and patience.
//!
//! Limits of a process and its umask are set in a process of its own: the test
//! starts itself again from a shell.

use std::fs;
use std::path::Path;
use std::process::Command;

use session_core::{Bytes, ErrorKind, SessionHandler, SessionKey};
use session_file::Durability;
use tempfile::TempDir;

use crate::support::{HOUR, Place, create, creating, key, kind, replacing};

/// Runs one test of this file in a shell that has first run `setup`. Returns
/// `false` in that process, where the test itself is to be run.
fn in_a_shell(setup: &str, test: &str) -> bool {
    const INSIDE: &str = "SESSION_FILE_TEST_INSIDE";
    if std::env::var_os(INSIDE).is_some() {
        return false;
    }
    let script = format!("{setup} && exec \"$0\" --exact \"$1\"");
    let this = std::env::current_exe().unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).arg(this).arg(test).env(INSIDE, "1");
    let output = shell.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{setup}: {text}");
    true
}

#[test]
fn modes_do_not_depend_on_the_umask() {
    for umask in ["000", "077", "777"] {
        in_a_shell(&format!("umask {umask}"), "save_path::files_are_ours_alone");
    }
}

#[tokio::test]
async fn running_out_of_descriptors_is_an_error_and_passes() {
    if in_a_shell("ulimit -n 64", "resources::running_out_of_descriptors_is_an_error_and_passes") {
        return;
    }
    let place = Place::new();
    create(&place.handler, &key(1), b"data").await;
    let mut hoard = Vec::new();
    while let Ok(file) = fs::File::open("/dev/null") {
        hoard.push(file);
    }
    for key in [key(1), key(2)] {
        let err = place.handler.read(&key).await.unwrap_err();
        assert_eq!((err.kind(), err.is_indeterminate()), (ErrorKind::Unavailable, false));
        assert!(err.to_string().contains("ulimit"), "{err}");
        let written = place.handler.write(&key, "x".into(), &creating()).await;
        assert_eq!(kind(written), ErrorKind::Unavailable);
        assert_eq!(kind(place.handler.destroy(&key, None).await), ErrorKind::Unavailable);
    }
    assert_eq!(kind(place.handler.gc(&Default::default()).await), ErrorKind::Unavailable);
    drop(hoard);
    assert_eq!(place.read(&key(1)).await.unwrap(), "data");
    create(&place.handler, &key(2), b"data").await;
}

#[tokio::test]
async fn no_call_leaks_a_descriptor() {
    const NAME: &str = "resources::no_call_leaks_a_descriptor";
    if in_a_shell("true", NAME) {
        return;
    }
    let place = Place::new();
    let owner = session_core::Owner::new("ann").unwrap();
    let open = || fs::read_dir("/proc/self/fd").unwrap().count();
    let mut before = None;
    for _ in 0..200 {
        let options = creating().with_owner(owner.clone());
        place.handler.write(&key(1), "x".into(), &options).await.unwrap();
        let taken = place.handler.write(&key(1), "x".into(), &options).await;
        assert_eq!(kind(taken), ErrorKind::AlreadyExists);
        place.read(&key(1)).await.unwrap();
        place.handler.touch(&key(1), HOUR).await.unwrap();
        place.handler.index().unwrap().revoke(&owner, None).await.unwrap();
        place.handler.gc(&Default::default()).await.unwrap();
        place.handler.lister().unwrap().count().await.unwrap();
        assert_eq!(*before.get_or_insert_with(open), open());
    }
}

/// A small file system in memory, unmounted when dropped. Needs root, as the
/// machines that run these tests have it.
struct Tmpfs(TempDir);

impl Tmpfs {
    fn mount(options: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(dir.path());
        assert!(mount.status().unwrap().success(), "mounting a tmpfs needs root");
        Self(dir)
    }

    fn place(&self, durability: Durability) -> Place {
        Place::within(TempDir::new_in(self.path()).unwrap(), durability)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(self.path()).status();
        assert!(unmounted.unwrap().success());
    }
}

/// Keys of one shard, so that the shard is not what room is lacking for.
fn keys() -> impl Iterator<Item = SessionKey> {
    (0..=255).map(|number| {
        let mut bytes = [7; 32];
        bytes[31] = number;
        SessionKey::from_bytes(bytes)
    })
}

/// Creates sessions until the store is full. Returns those that were created.
async fn fill(place: &Place) -> Vec<SessionKey> {
    let mut created = Vec::new();
    for key in keys() {
        match place.handler.write(&key, Bytes::from(vec![1; 3000]), &creating()).await {
            Ok(_) => created.push(key),
            Err(err) => {
                assert_eq!(err.kind(), ErrorKind::StorageFull, "{err}");
                assert!(!err.is_indeterminate());
                return created;
            }
        }
    }
    panic!("the store never filled up");
}

async fn assert_full_store_behaves(place: &Place) {
    let created = fill(place).await;
    let (first, rest) = created.split_first().unwrap();
    let grown = place.handler.write(first, Bytes::from(vec![2; 3000]), &replacing()).await;
    assert_eq!(kind(grown), ErrorKind::StorageFull);
    assert_eq!(place.read(first).await.unwrap(), vec![1; 3000], "the old one stays readable");
    assert!(place.handler.touch(first, HOUR).await.unwrap());
    assert!(!place.names(first).iter().any(|name| name.starts_with(".tmp")));
    for key in rest {
        assert!(place.handler.destroy(key, None).await.unwrap(), "ending needs no room");
    }
    place.handler.write(first, Bytes::from(vec![2; 3000]), &replacing()).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_keeps_what_is_there() {
    for durability in [Durability::Full, Durability::Process] {
        let disk = Tmpfs::mount("size=64k");
        assert_full_store_behaves(&disk.place(durability)).await;
    }
}

#[tokio::test]
async fn a_disk_without_inodes_refuses_writes_and_keeps_what_is_there() {
    let disk = Tmpfs::mount("size=1m,nr_inodes=16");
    assert_full_store_behaves(&disk.place(Durability::Process)).await;
}

#[tokio::test]
async fn a_disk_that_turns_read_only_still_reads() {
    let disk = Tmpfs::mount("size=1m");
    let place = disk.place(Durability::Full);
    create(&place.handler, &key(1), b"data").await;
    let remount = |how: &str| {
        let mut mount = Command::new("mount");
        let status = mount.arg("-o").arg(format!("remount,{how}")).arg(disk.path()).status();
        assert!(status.unwrap().success());
    };
    remount("ro");
    assert_eq!(place.read(&key(1)).await.unwrap(), "data");
    let handler = &place.handler;
    let written = handler.write(&key(1), "x".into(), &replacing()).await;
    assert_eq!(kind(written), ErrorKind::Unavailable);
    assert_eq!(kind(handler.touch(&key(1), HOUR).await), ErrorKind::Unavailable);
    assert_eq!(kind(handler.destroy(&key(1), None).await), ErrorKind::Unavailable);
    remount("rw");
    assert!(handler.destroy(&key(1), None).await.unwrap());
}
