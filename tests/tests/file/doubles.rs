//! File stores that are wrong in one way each, to show that the cases notice.
//!
//! They are as small as can be: one file per session, a version before the
//! payload, and a pause wherever another call may come in.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use session_core::testkit::{Case, cases, failures};
use session_core::{
    Bytes, Error, ErrorKind, GcReport, GcRequest, HandlerInfo, Operation, Result, SessionHandler,
    SessionKey, Stored, Version, WriteMode, WriteOptions, async_trait,
};
use tempfile::TempDir;
use tokio::task::yield_now;

/// What is done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    /// A write renames over whatever is there, or not there any more, and
    /// trusts the look that it took before.
    RenamesOver,
    /// A write locks the record itself, which the write before it replaces.
    LocksTheRecord,
}

#[derive(Debug)]
struct Careless {
    dir: TempDir,
    info: HandlerInfo,
    flaw: Flaw,
}

impl Careless {
    fn new(flaw: Flaw) -> Self {
        Self { dir: TempDir::new().unwrap(), info: HandlerInfo::new("careless"), flaw }
    }

    fn file(&self, key: &SessionKey) -> PathBuf {
        self.dir.path().join(key.to_string())
    }

    /// Locks what the flaw says. Nothing if it is not there.
    async fn lock(&self, key: &SessionKey) -> Option<File> {
        let path = match self.flaw {
            Flaw::LocksTheRecord => self.file(key),
            _ => self.dir.path().join("lock"),
        };
        let create = self.flaw != Flaw::LocksTheRecord;
        let file = OpenOptions::new().create(create).append(true).open(path).ok()?;
        pause().await;
        while flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            yield_now().await;
        }
        Some(file)
    }

    fn look(&self, key: &SessionKey) -> Option<(u64, Vec<u8>)> {
        let mut bytes = Vec::new();
        File::open(self.file(key)).ok()?.read_to_end(&mut bytes).unwrap();
        let payload = bytes.split_off(8);
        Some((u64::from_le_bytes(bytes.try_into().unwrap()), payload))
    }
}

#[async_trait]
impl SessionHandler for Careless {
    fn info(&self) -> &HandlerInfo {
        &self.info
    }

    async fn read(&self, key: &SessionKey) -> Result<Option<Stored>> {
        let stored = |(version, payload)| {
            let lives_on = Duration::from_secs(3600);
            Stored::new(Bytes::from(payload), Version::counter(version)).with_remaining(lives_on)
        };
        Ok(self.look(key).map(stored))
    }

    async fn write(
        &self,
        key: &SessionKey,
        payload: Bytes,
        options: &WriteOptions,
    ) -> Result<Version> {
        let locked = match self.flaw {
            Flaw::RenamesOver => None,
            _ => self.lock(key).await,
        };
        let found = self.look(key).map(|(version, _)| version);
        let refusal = match (&options.mode, found) {
            (WriteMode::Create, Some(_)) => Some(ErrorKind::AlreadyExists),
            (WriteMode::Replace | WriteMode::IfVersion(_), None) => Some(ErrorKind::Gone),
            (WriteMode::IfVersion(asked), Some(found)) if asked.as_counter() != Some(found) => {
                Some(ErrorKind::Conflict)
            }
            _ => None,
        };
        if let Some(kind) = refusal {
            return Err(Error::new(kind, Operation::Write, "refused"));
        }
        pause().await;
        let version = found.map_or_else(fresh, |found| found + 1);
        let temp = self.dir.path().join(format!("temp-{}", fresh()));
        fs::write(&temp, [&version.to_le_bytes()[..], &payload].concat()).unwrap();
        fs::rename(temp, self.file(key)).unwrap();
        drop(locked);
        Ok(Version::counter(version))
    }

    async fn touch(&self, key: &SessionKey, _: Duration) -> Result<bool> {
        Ok(self.look(key).is_some())
    }

    async fn destroy(&self, key: &SessionKey, only_at: Option<&Version>) -> Result<bool> {
        let _locked = self.lock(key).await;
        let Some((version, _)) = self.look(key) else { return Ok(false) };
        if only_at.is_some_and(|at| at.as_counter() != Some(version)) {
            return Err(Error::new(ErrorKind::Conflict, Operation::Destroy, "refused"));
        }
        Ok(fs::remove_file(self.file(key)).is_ok())
    }

    async fn gc(&self, _: &GcRequest) -> Result<GcReport> {
        Ok(GcReport::default())
    }
}

/// Lets others come in, for longer or shorter.
async fn pause() {
    for _ in 0..fastrand::usize(..12) {
        yield_now().await;
    }
}

/// Draws a number that no other call has.
fn fresh() -> u64 {
    fastrand::u64(..u64::MAX / 2)
}

/// The cases about writers and logouts that meet.
fn races() -> Vec<Case> {
    let names = [
        "of_parallel_writes_from_one_version_one_wins",
        "parallel_increments_all_count",
        "a_racing_write_does_not_undo_a_destruction",
        "of_a_write_and_a_destruction_from_one_version_one_wins",
    ];
    cases().iter().filter(|case| names.contains(&case.name())).copied().collect()
}

#[test]
fn a_store_that_does_it_right_fails_no_race() {
    assert_eq!(failures(&races(), async || Careless::new(Flaw::None)), [""; 0]);
}

/// Whether the kit notices within twenty rounds: a race has to be met.
fn is_noticed(flaw: Flaw) -> bool {
    let name = "a_racing_write_does_not_undo_a_destruction";
    (0..20).any(|_| failures(&races(), async || Careless::new(flaw)).contains(&name))
}

#[test]
fn a_rename_that_asks_nothing_is_noticed() {
    assert!(is_noticed(Flaw::RenamesOver));
}

#[test]
fn a_lock_on_the_record_itself_is_noticed() {
    assert!(is_noticed(Flaw::LocksTheRecord));
}
