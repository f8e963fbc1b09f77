//! How many operations have begun.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Counts the lines of histories while they grow.
pub(crate) struct Count {
    folder: PathBuf,
    /// How much of each file was counted.
    seen: HashMap<PathBuf, u64>,
    lines: u64,
}

impl Count {
    /// Counts the histories in a folder.
    pub(crate) fn of(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), seen: HashMap::new(), lines: 0 }
    }

    /// Returns how many operations there are, to within those that are under way: each
    /// is a line when it begins and another when it ends.
    pub(crate) fn operations(&mut self) -> io::Result<u64> {
        let mut bytes = vec![0; 1 << 16];
        for entry in std::fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let mut file = File::open(&path)?;
            let seen = self.seen.entry(path).or_default();
            file.seek(SeekFrom::Start(*seen))?;
            loop {
                let read = file.read(&mut bytes)?;
                if read == 0 {
                    break;
                }
                *seen += read as u64;
                self.lines += bytes[..read].iter().filter(|byte| **byte == b'\n').count() as u64;
            }
        }
        Ok(self.lines / 2)
    }
}
