//! Data folders of databases that were never used, made once.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::servers::Result;
use crate::servers::programs::{self, Installed, Program};

/// What makes MariaDB's own tables, in the order of its `mariadb-install-db`.
const SCRIPTS: [&str; 4] = [
    "mysql_system_tables.sql",
    "mysql_performance_tables.sql",
    "mysql_system_tables_data.sql",
    "maria_add_gis_sp_bootstrap.sql",
];

/// Copies the data folder of a new database to a place that does not exist.
pub(super) fn copy(program: Program, installed: &Installed, to: &Path) -> Result<()> {
    let template = make(program, installed)
        .map_err(|err| format!("{program:?} cannot make a data folder: {err}"))?;
    Ok(copy_folder(&template, to)?)
}

/// Makes a new data folder of MySQL, with an option that holds as long as it does.
pub(super) fn make_with(option: &OsStr, installed: &Installed, to: &Path) -> Result<()> {
    let mut words = words(Program::MySql, installed, to);
    words.extend([option.to_owned(), "--initialize-insecure".into()]);
    run(&words, &[])
}

/// Returns the words that run a server of a package that is not installed.
pub(super) fn words(program: Program, installed: &Installed, data: &Path) -> Vec<OsString> {
    let usr = installed.root().join("usr");
    let mut words = installed.command();
    words.extend(["--no-defaults", "--user=root"].map(OsString::from));
    let folders = [("basedir", usr.clone()), ("lc-messages-dir", usr.join("share/mysql"))];
    for (name, path) in folders.into_iter().chain([("datadir", data.to_owned())]) {
        words.push(format!("--{name}={}", path.display()).into());
    }
    let log_size = match program {
        Program::MySql => "--innodb-redo-log-capacity=16M",
        _ => "--innodb-log-file-size=8M",
    };
    words.push(log_size.into());
    words
}

fn make(program: Program, installed: &Installed) -> Result<PathBuf> {
    let home = programs::folder()?;
    let lock = File::create(home.join("lock"))?;
    lock.lock()?;
    // Inside of the program's folder, so that it goes when another version comes.
    let template = installed.root().join("template");
    if template.exists() {
        return Ok(template);
    }
    let new = installed.root().join("template.new");
    if new.exists() {
        fs::remove_dir_all(&new)?;
    }
    let mut words = words(program, installed, &new);
    let mut input = Vec::new();
    if program == Program::MySql {
        words.push("--initialize-insecure".into());
    } else {
        fs::create_dir(&new)?;
        words.extend(["--bootstrap", "--enforce-storage-engine="].map(OsString::from));
        // Root logs in by password, and there is none.
        input.extend(b"CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;\n");
        for script in SCRIPTS {
            let text = fs::read_to_string(installed.root().join("usr/share/mysql").join(script))?;
            // The users of this host by its name, which the server does not look up.
            let lines = text.lines().filter(|line| !line.contains("@current_hostname"));
            input.extend(lines.flat_map(|line| [line.as_bytes(), b"\n"].concat()));
        }
    }
    run(&words, &input)?;
    fs::rename(new, &template)?;
    Ok(template)
}

fn run(words: &[OsString], input: &[u8]) -> Result<()> {
    let mut log = tempfile::tempfile()?;
    let mut child = Command::new(&words[0])
        .args(&words[1..])
        .stdin(Stdio::piped())
        .stdout(log.try_clone()?)
        .stderr(log.try_clone()?)
        .spawn()?;
    let given = child.stdin.take().map_or(Ok(()), |mut pipe| pipe.write_all(input));
    let status = child.wait()?;
    if status.success() {
        return Ok(given?);
    }
    let mut said = String::new();
    std::io::Seek::rewind(&mut log)?;
    std::io::Read::read_to_string(&mut log, &mut said)?;
    let errors: Vec<_> = said.lines().filter(|line| line.contains("ERROR")).collect();
    Err(format!("{status}: {}", errors.join("; ")).into())
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else if !kind.is_socket() {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
