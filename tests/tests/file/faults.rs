//! Processes that are killed at every system call of a call, and file systems
//! that refuse any one of them.

use session_core::ErrorKind;
use session_file::Durability;
use session_tests::files::{Answer, Call, Power, Strace, SystemCall, fault, unusable};

use crate::support::{call, driver, prepared, system_calls, wait};

/// Kills the process at a system call of a call, and checks what it leaves.
fn kill(of: Call, durability: Durability, at: &SystemCall, besides: &[String]) {
    let (dir, place) = prepared(of, durability);
    let faults = [besides, &[at.with("signal=SIGKILL")]].concat();
    let (answer, log) = call(&place, of, &faults, &dir.path().join("log"));
    let about = || format!("{of:?} at {durability:?}, killed at {at:?}:\n{log}");
    assert_eq!(answer, None, "{}", about());
    assert_eq!(wait(fault(&place, of, &Answer::InDoubt, Power::Kept)), None, "{}", about());
    assert_eq!(wait(unusable(&place, Power::Kept)), None, "{}", about());
}

#[test]
fn a_process_killed_at_any_system_call_leaves_the_old_or_the_new_state() {
    let mut killed = 0;
    for durability in [Durability::Full, Durability::Process] {
        for of in Call::ALL {
            let calls = system_calls(of, durability, &[]);
            assert!(calls.len() > 8, "{of:?} at {durability:?}: {calls:?}");
            calls.iter().for_each(|at| kill(of, durability, at, &[]));
            killed += calls.len();
        }
    }
    println!("figure: processes killed at a system call: {killed}");
}

/// As on NFS and some other file systems, where a plain rename under the lock
/// has to do.
#[test]
fn without_rename_flags_a_killed_process_leaves_the_old_or_the_new_state() {
    let refused = ["renameat2:error=EINVAL".to_owned()];
    let mut killed = 0;
    for of in [Call::Create, Call::Save, Call::Regenerate] {
        let calls = system_calls(of, Durability::Full, &refused);
        assert!(calls.iter().any(|call| call.name == "renameat"), "{calls:?}");
        for at in calls.iter().filter(|call| call.name != "renameat2") {
            kill(of, Durability::Full, at, &refused);
            killed += 1;
        }
    }
    println!("figure: processes killed without rename flags: {killed}");
}

/// Refuses a system call of a call, which is then made again.
fn refuse(of: Call, durability: Durability, at: &SystemCall, errno: &str) {
    let (dir, place) = prepared(of, durability);
    let mut driver = driver(&place, of);
    let faults = [at.with(&format!("error={errno}"))];
    let strace = Strace::attach(driver.thread(), &faults, &dir.path().join("log"));
    let answer = driver.go().expect("the process goes on");
    // What cannot be looked at is left for the next walk.
    let judged = if of == Call::Collect { &Answer::InDoubt } else { &answer };
    let wrong = wait(fault(&place, of, judged, Power::Kept));
    let again = driver.go().expect("the process goes on");
    assert!(driver.finish());
    let log = strace.finish();
    let log = log.lines().filter(|line| !line.contains("ENOENT")).collect::<Vec<_>>().join("\n");
    let about = || format!("{of:?} at {durability:?}, {faults:?}: {answer:?}, {again:?}\n{log}");
    assert!(log.contains("(INJECTED)"), "{}", about());
    assert_eq!(wrong, None, "{}", about());
    // What was in doubt may have happened: then there is nothing left to do.
    let in_doubt = !matches!(answer, Answer::Refused(_));
    let judged = match &again {
        Answer::Done => Answer::Done,
        Answer::Refused(ErrorKind::AlreadyExists) if in_doubt => Answer::Done,
        // A new id in doubt was handed to nobody, and the old one has ended.
        Answer::Refused(ErrorKind::Gone) if in_doubt && of == Call::Regenerate => Answer::InDoubt,
        _ => panic!("{}", about()),
    };
    assert_eq!(wait(fault(&place, of, &judged, Power::Kept)), None, "{}", about());
    assert_eq!(wait(unusable(&place, Power::Kept)), None, "{}", about());
}

/// Refuses each system call on files, each with so many of the numbers in turn.
fn refuse_each(errnos: &[&str], many: usize) -> usize {
    let mut errnos = errnos.iter().cycle();
    let mut refused = 0;
    for durability in [Durability::Full, Durability::Process] {
        for of in Call::ALL {
            for at in system_calls(of, durability, &[]).iter().filter(|at| at.can_fail()) {
                errnos.by_ref().take(many).for_each(|errno| refuse(of, durability, at, errno));
                refused += many;
            }
        }
    }
    refused
}

/// Each call with one of the numbers in turn.
#[test]
fn a_file_system_that_refuses_any_one_call_loses_nothing() {
    let refused = refuse_each(&["EIO", "ENOSPC", "EMFILE", "EDQUOT", "EROFS"], 1);
    println!("figure: system calls refused: {refused}");
}

/// What one file or directory answers keeps no other from being collected.
#[test]
fn a_collection_goes_on_past_what_the_disk_refuses() {
    let calls = system_calls(Call::Collect, Durability::Process, &[]);
    let walk = calls.iter().position(|at| at.name.starts_with("getdents")).expect("a walk");
    for at in calls[walk..].iter().filter(|at| at.can_fail()) {
        let (dir, place) = prepared(Call::Collect, Durability::Process);
        let fault = at.with("error=EIO");
        let (answer, log) = call(&place, Call::Collect, &[fault], &dir.path().join("log"));
        assert!(log.contains("(INJECTED)"), "{at:?}: {log}");
        assert_eq!(answer, Some(Answer::Done), "{at:?}: {log}");
    }
}

#[test]
#[ignore = "long: every call with every number"]
fn a_file_system_that_refuses_with_any_number_loses_nothing() {
    let numbers = [
        "EIO",
        "ENOSPC",
        "EMFILE",
        "EDQUOT",
        "EROFS",
        "EACCES",
        "ENFILE",
        "EINTR",
        "ESTALE",
        "ENOMEM",
        "ENAMETOOLONG",
    ];
    let refused = refuse_each(&numbers, numbers.len());
    println!("figure: system calls refused, with every number: {refused}");
}

#[test]
fn a_call_that_is_interrupted_is_made_again() {
    for (of, name) in [
        (Call::Save, "writev"),
        (Call::Save, "flock"),
        (Call::Save, "pread64"),
        (Call::Touch, "pwrite64"),
    ] {
        let (dir, place) = prepared(of, Durability::Full);
        let faults = [format!("{name}:error=EINTR:when=1")];
        let (answer, log) = call(&place, of, &faults, &dir.path().join("log"));
        assert!(log.contains("(INJECTED)"), "{of:?}: {log}");
        assert_eq!(answer, Some(Answer::Done), "{of:?}, {name}: {log}");
        assert_eq!(wait(fault(&place, of, &Answer::Done, Power::Kept)), None);
    }
}
