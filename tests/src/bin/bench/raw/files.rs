//! A folder.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::Data;
use crate::Failure;

pub(crate) struct Files {
    dir: PathBuf,
    sync: bool,
    temporaries: AtomicU64,
}

impl Files {
    pub(super) fn open(dir: &Path, sync: bool) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        Ok(Self { dir: dir.to_owned(), sync, temporaries: AtomicU64::new(0) })
    }

    pub(super) async fn load(&self, id: &str) -> Result<Option<Data>, Failure> {
        let path = self.dir.join(id);
        match tokio::task::spawn_blocking(|| fs::read(path)).await? {
            Ok(json) => Ok(Some(serde_json::from_slice(&json)?)),
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(err) => Err(err.into()),
        }
    }

    pub(super) async fn save(&self, id: &str, data: &Data) -> Result<(), Failure> {
        let json = serde_json::to_vec(data)?;
        let number = self.temporaries.fetch_add(1, Ordering::Relaxed);
        let temporary = self.dir.join(format!("{id}.{number}"));
        let (path, dir, sync) = (self.dir.join(id), self.dir.clone(), self.sync);
        let job = move || replace(&path, &temporary, &json, sync.then_some(&*dir));
        Ok(tokio::task::spawn_blocking(job).await??)
    }
}

/// Writes a file beside the old one and renames it over that.
fn replace(path: &Path, temporary: &Path, json: &[u8], sync: Option<&Path>) -> io::Result<()> {
    let mut file = File::create(temporary)?;
    file.write_all(json)?;
    if sync.is_some() {
        file.sync_all()?;
    }
    fs::rename(temporary, path)?;
    match sync {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}
