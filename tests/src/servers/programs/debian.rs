//! Packages of Debian, downloaded and unpacked with a state of apt's own.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{run, sources};
use crate::servers::Result;

/// A suite of Debian.
#[derive(Clone, Copy, Debug)]
pub(super) enum Suite {
    /// The one that the machine runs.
    Own,
    /// `sid`, which moves: what version it had is printed, not pinned.
    Newest,
}

/// Unpacks packages, and all that they depend on, into a folder.
pub(super) fn unpack(suite: Suite, packages: &[&str], home: &Path, into: &Path) -> Result<()> {
    let apt = home.join(format!("apt-{suite:?}").to_lowercase());
    let archives = apt.join("cache/archives");
    fs::create_dir_all(apt.join("lists/partial"))?;
    fs::create_dir_all(archives.join("partial"))?;
    // Nothing is installed, so every dependency is downloaded.
    fs::write(apt.join("status"), "")?;
    fs::write(apt.join("sources.list"), sources::of(suite)?)?;
    run(get(&apt).arg("update"))?;
    run(get(&apt).args(["clean"]))?;
    run(get(&apt)
        .args(["install", "--yes", "--no-install-recommends", "--download-only"])
        .args(packages))?;
    for entry in fs::read_dir(&archives)? {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "deb") {
            run(Command::new("dpkg").arg("--extract").arg(&file).arg(into))?;
        }
    }
    run(get(&apt).arg("clean"))?;
    Ok(())
}

/// Returns `apt-get` with folders of its own.
fn get(apt: &Path) -> Command {
    let mut command = Command::new("apt-get");
    command.env("LC_ALL", "C").args(["-q", "-q"]);
    for (option, file) in [
        ("Dir::Etc::SourceList", "sources.list"),
        ("Dir::State", "state"),
        ("Dir::State::Lists", "lists"),
        ("Dir::State::Status", "status"),
        ("Dir::Cache", "cache"),
    ] {
        command.arg("-o").arg(format!("{option}={}", apt.join(file).display()));
    }
    command.args(["-o", "Dir::Etc::SourceParts=-", "-o", "Acquire::Languages=none"]);
    // Another user could not read a private folder.
    command.args(["-o", "APT::Sandbox::User="]);
    command
}
