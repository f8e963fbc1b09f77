//! Files of other users, devices, and names that were taken beforehand.

use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::process::Command;

use session_core::{ErrorKind, SessionHandler};
use session_file::Durability;
use session_tests::files::{Answer, Call, Place, Power, fault};

use crate::support::{call, prepared, wait};

const NOBODY: Option<u32> = Some(65534);

fn kind<T>(result: session_core::Result<T>) -> ErrorKind {
    result.err().unwrap().kind()
}

#[test]
fn files_of_another_user_are_refused() {
    let (_dir, place) = prepared(Call::Save, Durability::Full);
    chown(place.file(&Place::TARGET), NOBODY, None).unwrap();
    let handler = place.open();
    assert_eq!(kind(wait(handler.read(&Place::TARGET))), ErrorKind::Corrupt);
    assert!(wait(handler.read(&Place::BYSTANDER)).unwrap().is_some());

    chown(place.file(&Place::TARGET).parent().unwrap(), NOBODY, None).unwrap();
    assert_eq!(kind(wait(place.open().read(&Place::BYSTANDER))), ErrorKind::PermissionDenied);
    chown(&place.path, NOBODY, None).unwrap();
    assert_eq!(kind(wait(place.open().open())), ErrorKind::PermissionDenied);
}

#[test]
fn a_device_under_a_session_s_name_is_refused() {
    let (_dir, place) = prepared(Call::Save, Durability::Full);
    let file = place.file(&Place::TARGET);
    fs::remove_file(&file).unwrap();
    // /dev/zero would be read for ever.
    let made = Command::new("mknod").arg("-m").arg("600").arg(&file).args(["c", "1", "5"]).status();
    assert!(made.unwrap().success(), "devices are made by root");
    assert_eq!(kind(wait(place.open().read(&Place::TARGET))), ErrorKind::Corrupt);
}

/// strace leaves the first draw of a name out, so that it is all zeros. The call
/// before it only asks whether there is a generator.
#[test]
fn a_temporary_name_that_is_taken_is_not_written_to() {
    let (dir, place) = prepared(Call::Save, Durability::Full);
    let victim = dir.path().join("victim");
    fs::write(&victim, "untouched").unwrap();
    let guessed = place.file(&Place::TARGET).with_file_name(".tmp-0000000000000000");
    symlink(&victim, &guessed).unwrap();
    let faults = ["getrandom:retval=8:when=2".to_owned()];
    let (answer, log) = call(&place, Call::Save, &faults, &dir.path().join("log"));
    assert!(log.contains("EEXIST"), "{log}");
    assert_eq!(answer, Some(Answer::Done));
    assert_eq!(wait(fault(&place, Call::Save, &Answer::Done, Power::Kept)), None);
    assert_eq!(fs::read(victim).unwrap(), b"untouched");
}
