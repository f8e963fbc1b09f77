//! Power that fails at any moment of a call.

use session_file::Durability;
use session_tests::files::{Answer, Call, Disk, Place, Power, SystemCall, fault, unusable};
use tempfile::TempDir;

use crate::support::{call, moments, wait};

/// A disk that a call was prepared on.
struct Prepared {
    dir: TempDir,
    of: Call,
    durability: Durability,
}

impl Prepared {
    fn new(of: Call, durability: Durability) -> Self {
        let this = Self { dir: TempDir::new().unwrap(), of, durability };
        let image = this.dir.path().join("prepared");
        Disk::format(&image);
        let disk = Disk::mount(&image);
        wait(this.place(&disk).prepare(of));
        drop(disk);
        this
    }

    fn place(&self, disk: &Disk) -> Place {
        Place::new(disk.path().join("sessions"), self.durability)
    }

    /// Makes the call, lets the power fail at a system call of it or, without
    /// one, just after it, and checks the disk as it is found later.
    fn lose_power(&self, at: Option<&SystemCall>, faults: &[String]) -> Result<(), String> {
        let (image, lost) = (self.dir.path().join("image"), self.dir.path().join("lost"));
        std::fs::copy(self.dir.path().join("prepared"), &image).unwrap();
        let disk = Disk::mount(&image);
        let faults: Vec<_> =
            faults.iter().cloned().chain(at.map(|at| at.with("signal=SIGKILL"))).collect();
        let log = self.dir.path().join("log");
        let (answer, log) = call(&self.place(&disk), self.of, &faults, &log);
        disk.lose_power(&lost);
        drop(disk);
        assert_eq!(answer.is_none(), at.is_some(), "{:?} {faults:?}: {log}", self.of);
        let answer = answer.unwrap_or(Answer::InDoubt);
        let disk = Disk::mount(&lost);
        let place = self.place(&disk);
        let wrong = match wait(fault(&place, self.of, &answer, Power::Lost)) {
            None => wait(unusable(&place, Power::Lost)),
            wrong => wrong,
        };
        wrong.map_or(Ok(()), |wrong| {
            Err(format!("{:?} at {:?}, {at:?}: {wrong}", self.of, self.durability))
        })
    }
}

/// Lets the power fail at every system call of every call, and after it.
fn lose_power(durability: Durability) -> usize {
    let mut disks = 0;
    for of in Call::ALL {
        let prepared = Prepared::new(of, durability);
        let moments = moments(of, durability);
        for at in moments.iter().map(Some).chain([None]) {
            prepared.lose_power(at, &[]).unwrap();
            disks += 1;
        }
    }
    disks
}

#[test]
fn what_was_acknowledged_survives_a_power_cut_at_any_moment() {
    let disks = lose_power(Durability::Full);
    println!("figure: disks that lost power, durability=full: {disks}");
}

#[test]
fn without_flushes_a_power_cut_leaves_whole_records_or_damage_that_is_seen() {
    let disks = lose_power(Durability::Process);
    println!("figure: disks that lost power, durability=process: {disks}");
}

/// The same again, until a thousand disks were looked at.
#[test]
#[ignore = "long: a thousand disks that lose their power"]
fn a_thousand_disks_that_lost_power_hold_what_they_should() {
    let mut disks = 0;
    while disks < 1_000 {
        disks += lose_power(Durability::Full) + lose_power(Durability::Process);
    }
    println!("figure: disks that lost power: {disks}");
}

/// The engine without one of its flushes, which strace leaves out: the system
/// answers as if it had flushed.
#[test]
fn an_engine_without_one_of_its_flushes_is_noticed() {
    for (of, left_out, what) in [
        (Call::Create, "fsync:retval=0:when=2", "of the file"),
        (Call::Save, "fsync:retval=0:when=1", "of the file"),
        (Call::Save, "fsync:retval=0:when=2", "of the directory"),
        (Call::Destroy, "fsync:retval=0:when=1", "of the directory"),
        (Call::Touch, "fdatasync:retval=0:when=1", "of the file"),
    ] {
        let prepared = Prepared::new(of, Durability::Full);
        prepared.lose_power(None, &[]).unwrap();
        let noticed = prepared.lose_power(None, &[left_out.to_owned()]);
        assert!(noticed.is_err(), "{of:?} without the flush {what}");
    }
}
