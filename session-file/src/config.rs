//! Where sessions are kept, and how safely.

use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use session_core::Result;

use crate::error::invalid;

/// What an acknowledged write or destroy survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Durability {
    /// A crash of the program, of the system, and a power cut. Files and
    /// directories are flushed to the disk before a call returns. The default.
    #[default]
    Full,
    /// A crash of the program. After a crash of the system or a power cut the
    /// last writes may be missing, **and destroyed sessions may be back**. A
    /// record that was cut short is reported as corrupt, never read as data.
    Process,
}

/// Where sessions are kept, and how safely.
///
/// Deserializes from any format; unknown fields are errors, and all but
/// `directory` have defaults.
///
/// ```
/// use session_file::{Durability, FileConfig};
///
/// let config = FileConfig::new("/var/lib/app/sessions").with_durability(Durability::Process);
/// assert_eq!(config.max_blocking, 64);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FileConfig {
    /// The save path. Made with mode 0700 if it is missing. Refused if it is a
    /// symbolic link, belongs to another user, or others may write to it.
    pub directory: PathBuf,
    /// What an acknowledged write survives. Default [`Durability::Full`].
    #[serde(default)]
    pub durability: Durability,
    /// Calls that may work on the disk at the same time; more wait for their
    /// turn. Default 64, at least 1, at most 65,536. tokio's own pool has 512 threads.
    #[serde(default = "default_max_blocking")]
    pub max_blocking: usize,
    /// The longest payload in bytes, when writing and when reading. Default
    /// 4 MiB, at least 1, at most 1 GiB.
    #[serde(default = "default_max_record_bytes")]
    pub max_record_bytes: usize,
}

pub(crate) const fn default_max_blocking() -> usize {
    64
}

pub(crate) const fn default_max_record_bytes() -> usize {
    4 * 1024 * 1024
}

impl FileConfig {
    /// Takes the save path and defaults for the rest.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            durability: Durability::default(),
            max_blocking: default_max_blocking(),
            max_record_bytes: default_max_record_bytes(),
        }
    }

    /// Sets what an acknowledged write survives.
    #[must_use]
    pub const fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Sets how many calls may work on the disk at the same time.
    #[must_use]
    pub const fn with_max_blocking(mut self, max_blocking: usize) -> Self {
        self.max_blocking = max_blocking;
        self
    }

    /// Sets the longest payload in bytes.
    #[must_use]
    pub const fn with_max_record_bytes(mut self, max_record_bytes: usize) -> Self {
        self.max_record_bytes = max_record_bytes;
        self
    }

    /// Checks the settings and makes the save path absolute, so that a later
    /// change of the working directory does not move it.
    pub(crate) fn checked(mut self) -> Result<Self> {
        if !(1..=MAX_BLOCKING).contains(&self.max_blocking) {
            return Err(invalid("max_blocking must be from 1 to 65536"));
        }
        if !(1..=MAX_RECORD_BYTES).contains(&self.max_record_bytes) {
            return Err(invalid("max_record_bytes must be from 1 to 1073741824 (1 GiB)"));
        }
        self.directory = plain(&self.directory)?;
        Ok(self)
    }
}

const MAX_BLOCKING: usize = 65_536;
const MAX_RECORD_BYTES: usize = 1 << 30;

/// Makes a path absolute and drops `.` and the slash at its end, behind which
/// the system would follow a link.
fn plain(path: &Path) -> Result<PathBuf> {
    let names_a_directory = matches!(path.components().next_back(), Some(Component::Normal(_)));
    if !names_a_directory || path.as_os_str().as_encoded_bytes().contains(&0) {
        return Err(invalid(
            "the save path must end with the name of a directory, as in /var/lib/app/sessions",
        ));
    }
    let absolute = std::path::absolute(path).map_err(|err| {
        invalid("the save path is relative and the working directory is unknown").with_source(err)
    })?;
    Ok(absolute.components().collect())
}

#[cfg(test)]
mod tests {
    use session_core::ErrorKind;

    use super::*;

    #[test]
    fn a_path_loses_the_slash_that_would_follow_a_link() {
        let checked = FileConfig::new("/var/./lib/app/").checked().unwrap();
        assert_eq!(checked.directory.as_os_str(), "/var/lib/app");
        assert!(FileConfig::new("app").checked().unwrap().directory.is_absolute());
    }

    #[test]
    fn impossible_settings_are_refused() {
        for bad in [
            FileConfig::new(""),
            FileConfig::new("/"),
            FileConfig::new("/var/.."),
            FileConfig::new("/var/a\0b"),
            FileConfig::new("/var/app").with_max_blocking(0),
            FileConfig::new("/var/app").with_max_record_bytes(0),
            FileConfig::new("/var/app").with_max_record_bytes(usize::MAX),
        ] {
            assert_eq!(bad.checked().unwrap_err().kind(), ErrorKind::InvalidConfig);
        }
    }
}
