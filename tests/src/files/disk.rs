//! Disks that lose power: an ext4 file system in a file, copied while it is
//! mounted. What the system has not written to it yet is missing in the copy.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How large a disk is. An ext4 file system with a journal needs 8 MiB or so.
const SIZE: u64 = 12 << 20;
/// How long a disk may stay busy when nobody uses it any more.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);

/// A mounted disk, unmounted when dropped. Needs root.
#[derive(Debug)]
pub struct Disk {
    image: PathBuf,
    mounted: TempDir,
}

impl Disk {
    /// Makes an empty disk in a file.
    ///
    /// # Panics
    ///
    /// If e2fsprogs is not installed.
    pub fn format(image: &Path) {
        let file = fs::File::create(image).expect("a file");
        file.set_len(SIZE).expect("room");
        run(Command::new("mkfs.ext4").args(["-q", "-F", "-J", "size=4"]).arg(image));
    }

    /// Mounts a disk. Nothing reaches it but what is flushed: there is no
    /// commit every few seconds, and no flush that ext4 does unasked.
    ///
    /// # Panics
    ///
    /// Without root.
    #[must_use]
    pub fn mount(image: &Path) -> Self {
        let mounted = TempDir::new().expect("a directory");
        let options = "loop,commit=600,noauto_da_alloc";
        run(Command::new("mount").args(["-o", options]).arg(image).arg(mounted.path()));
        Self { image: image.to_owned(), mounted }
    }

    /// Returns where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.mounted.path()
    }

    /// Copies the disk as it would be found if the power failed now.
    ///
    /// # Panics
    ///
    /// If there is no room.
    pub fn lose_power(&self, image: &Path) {
        run(Command::new("cp").arg("--sparse=always").arg(&self.image).arg(image));
    }
}

impl Drop for Disk {
    /// Unmounts. A process that another thread is just starting may hold a copy
    /// of a descriptor for a moment: then the disk is busy.
    fn drop(&mut self) {
        let begin = Instant::now();
        let unmounted = || Command::new("umount").arg(self.mounted.path()).status();
        while !unmounted().is_ok_and(|status| status.success()) {
            assert!(begin.elapsed() < PATIENCE, "{} stays busy", self.mounted.path().display());
            thread::sleep(PAUSE);
        }
    }
}

fn run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|err| panic!("{command:?}: {err}"));
    assert!(status.success(), "{command:?} failed: {status}; disks need root");
}
