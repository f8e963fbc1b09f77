//! A call, with a fault in it.

use std::path::Path;

use session_file::Durability;
use session_tests::files::{Answer, Call, Driver, Place, Strace, SystemCall};
use tempfile::TempDir;

/// Returns the driver, about to make a call.
pub(crate) fn driver(place: &Place, call: Call) -> Driver {
    Driver::start(env!("CARGO_BIN_EXE_file_call"), place, call)
}

/// Makes a call in a process of its own, with faults in it. Returns what it
/// answered, if it lived to answer, and what strace saw.
pub(crate) fn call(
    place: &Place,
    call: Call,
    faults: &[String],
    log: &Path,
) -> (Option<Answer>, String) {
    let mut driver = driver(place, call);
    let strace = Strace::attach(driver.thread(), faults, log);
    let answer = driver.go();
    driver.finish();
    (answer, strace.finish())
}

/// Returns the system calls that a call makes with no fault in it but these.
pub(crate) fn system_calls(of: Call, durability: Durability, faults: &[String]) -> Vec<SystemCall> {
    let (dir, place) = prepared(of, durability);
    let (answer, log) = call(&place, of, faults, &dir.path().join("log"));
    assert_eq!(answer, Some(Answer::Done), "{of:?}: {log}");
    SystemCall::all_in(&log)
}

/// Returns the system calls of a call before which its disk has changed: the
/// moments at which a power cut can find something new.
pub(crate) fn moments(of: Call, durability: Durability) -> Vec<SystemCall> {
    let calls = system_calls(of, durability, &[]);
    let pairs = calls.windows(2).filter(|pair| pair[0].changes);
    pairs.map(|pair| pair[1].clone()).collect()
}

/// Makes the store for a call.
pub(crate) fn prepared(of: Call, durability: Durability) -> (TempDir, Place) {
    let dir = TempDir::new().unwrap();
    let place = Place::new(dir.path().join("sessions"), durability);
    wait(place.prepare(of));
    (dir, place)
}

/// Runs a future to its end.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(future)
}
