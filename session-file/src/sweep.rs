//! Garbage collection: a walk over all shards in bounded steps.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::fs::{self, AtFlags};
use rustix::io::Errno;
use session_core::{Error, GcReport, GcRequest, Operation, Result, SessionKey};

use crate::layout::{self, Entry, OwnerHash};
use crate::shard::{Shard, lock};
use crate::store::{Position, Store, shard_of};
use crate::{error, io};

/// How old a temporary file must be, by the system's clock and the time of its
/// last change, to count as left over by a crash.
const TEMP_AGE: Duration = Duration::from_secs(3600);
const OP: Operation = Operation::Gc;

/// One step of a walk.
struct Step<'a> {
    begin: Instant,
    request: &'a GcRequest,
    looked_at: usize,
    report: GcReport,
}

impl Step<'_> {
    /// Counts one record or marker. Returns whether the step is over.
    fn is_over(&mut self) -> bool {
        self.looked_at += 1;
        self.looked_at >= self.request.limit || self.begin.elapsed() >= self.request.time
    }
}

impl Store {
    /// Goes on where the last step stopped.
    pub(crate) fn sweep(&self, request: &GcRequest) -> Result<GcReport> {
        self.save_path()?.check(OP)?;
        let report = GcReport::default();
        let mut step = Step { begin: Instant::now(), request, looked_at: 0, report };
        let mut at = *lock(&self.swept);
        loop {
            let stopped = if at.markers {
                self.sweep_markers(at.shard, at.after, &mut step)?
            } else {
                self.sweep_records(at.shard, at.after, &mut step)?
            };
            let next = match (stopped, at.shard.checked_add(1), at.markers) {
                (Some(after), _, _) => Some(Position { after: Some(after), ..at }),
                (None, Some(shard), _) => Some(Position { shard, after: None, ..at }),
                (None, None, false) => Some(Position { markers: true, ..Position::default() }),
                (None, None, true) => None,
            };
            at = next.unwrap_or_default();
            *lock(&self.swept) = at;
            if stopped.is_some() || next.is_none() {
                step.report.more = next.is_some();
                return Ok(step.report);
            }
        }
    }

    /// Sweeps a directory of records. Returns the last key that was looked at
    /// if the step is over before the directory is.
    fn sweep_records(
        &self,
        byte: u8,
        after: Option<SessionKey>,
        step: &mut Step<'_>,
    ) -> Result<Option<SessionKey>> {
        let shard = match self.save_path()?.sessions().find(byte) {
            Ok(Some(shard)) => shard,
            Ok(None) => return Ok(None),
            Err(errno) => return self.tolerate(step, error::os(OP, errno)).map(|()| None),
        };
        let mut keys = Vec::new();
        let mut grants = Vec::new();
        let mut temps = Vec::new();
        let read = io::names(shard.dir(), |name| match Entry::of(byte, name) {
            Entry::Record(key) if after.is_none_or(|after| key > after) => keys.push(key),
            Entry::Grant(key) if after.is_none() => grants.push(key),
            Entry::Temp if after.is_none() => temps.push(name.to_vec()),
            _ => {}
        });
        // What was read before the directory failed is still worth a look.
        read.or_else(|errno| self.tolerate(step, error::os(OP, errno)))?;
        for name in temps {
            let swept = sweep_temp(&shard, name);
            swept.or_else(|errno| self.tolerate(step, error::os(OP, errno)))?;
        }
        for key in grants {
            self.sweep_grant(&key, &shard).or_else(|err| self.tolerate(step, err))?;
        }
        keys.sort_unstable();
        for key in keys {
            step.report.scanned += 1;
            match self.sweep_record(&key, &shard) {
                Ok(removed) => step.report.removed += u64::from(removed),
                Err(err) => self.tolerate(step, err)?,
            }
            if step.is_over() {
                return Ok(Some(key));
            }
            // Requests on the same CPU go first.
            std::thread::yield_now();
        }
        Ok(None)
    }

    /// Removes a record if it has expired, and looks again under the lock, so
    /// that no touch or write comes between the look and the removal.
    fn sweep_record(&self, key: &SessionKey, shard: &Arc<Shard>) -> Result<bool> {
        if self.inspect(OP, key, shard)?.is_none_or(|found| found.live) {
            return Ok(false);
        }
        let _lock = shard.lock().map_err(|errno| error::os(OP, errno))?;
        match self.inspect(OP, key, shard)? {
            Some(found) if !found.live => {
                self.remove_record(OP, key, shard, found.owner)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Removes markers that a crash has left without a record.
    fn sweep_markers(
        &self,
        byte: u8,
        after: Option<SessionKey>,
        step: &mut Step<'_>,
    ) -> Result<Option<SessionKey>> {
        let fail = |errno| error::os(OP, errno);
        let owners = self.save_path()?.owners();
        let shard = match owners.and_then(|owners| owners.map_or(Ok(None), |all| all.find(byte))) {
            Ok(Some(shard)) => shard,
            Ok(None) => return Ok(None),
            Err(errno) => return self.tolerate(step, fail(errno)).map(|()| None),
        };
        let mut markers = Vec::new();
        let read = io::names(shard.dir(), |name| {
            let marker = layout::read_marker(name).map(|(owner, key)| (key, owner));
            markers.extend(marker.filter(|(key, _)| after.is_none_or(|after| *key > after)));
        });
        read.or_else(|errno| self.tolerate(step, fail(errno)))?;
        markers.sort_unstable_by_key(|(key, _)| *key);
        for (key, owner) in markers {
            self.sweep_marker(owner, &key).or_else(|err| self.tolerate(step, err))?;
            if step.is_over() {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    /// Removes a marker without a record, and looks again under the lock.
    fn sweep_marker(&self, owner: OwnerHash, key: &SessionKey) -> Result<()> {
        if self.has_record(key)? {
            return Ok(());
        }
        self.in_shard(OP, key, |shard| {
            let _lock = shard.lock().map_err(|errno| error::os(OP, errno))?;
            if !self.has_record(key)? {
                self.unmark(owner, key);
            }
            Ok(())
        })
    }

    fn has_record(&self, key: &SessionKey) -> Result<bool> {
        let fail = |errno| error::os(OP, errno);
        match self.save_path()?.sessions().find(shard_of(key)).map_err(fail)? {
            Some(shard) => io::exists(shard.dir(), layout::record(key).as_c_str()).map_err(fail),
            None => Ok(false),
        }
    }

    /// Leaves alone and counts what does not verify or cannot be read, so that one
    /// bad file or directory does not keep all others from being collected. Gives
    /// up where the next one would be no better.
    fn tolerate(&self, step: &mut Step<'_>, err: Error) -> Result<()> {
        if error::is_everywhere(&err) {
            return Err(err);
        }
        self.save_path()?.check(OP)?;
        step.report.skipped += 1;
        Ok(())
    }
}

/// Removes a temporary file that no call can be working on any more.
fn sweep_temp(shard: &Shard, mut name: Vec<u8>) -> Result<(), Errno> {
    name.push(0);
    let Ok(name) = std::ffi::CStr::from_bytes_with_nul(&name) else { return Ok(()) };
    let _lock = shard.lock()?;
    let stat = match fs::statat(shard.dir(), name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(errno),
    };
    let is_file = fs::FileType::from_raw_mode(stat.st_mode) == fs::FileType::RegularFile;
    let changed = UNIX_EPOCH + Duration::from_secs(u64::try_from(stat.st_mtime).unwrap_or(0));
    let age = SystemTime::now().duration_since(changed).unwrap_or_default();
    if is_file && age > TEMP_AGE { io::remove(shard.dir(), name).map(drop) } else { Ok(()) }
}
