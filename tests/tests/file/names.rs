//! What the engine opens, whatever a client sends.

use std::path::Path;

use session_core::{OsRandom, SessionId};
use session_file::Durability;
use session_tests::files::{Call, Place};

use crate::support::{call, prepared};

/// The paths that were opened or made, of a log of strace.
fn opened(log: &str) -> Vec<&str> {
    let named = ["openat(", "open(", "mkdirat(", "mkdir(", "renameat2(", "renameat(", "unlinkat("];
    let calls = log.lines().filter(|line| named.iter().any(|name| line.starts_with(name)));
    calls.flat_map(|line| line.split('"').skip(1).step_by(2)).collect()
}

/// Traversals, absolute paths and device names.
const HOSTILE: [&str; 14] = [
    "../../../../etc/passwd",
    "..",
    ".",
    "/etc/passwd",
    "/dev/zero",
    "..\\..\\windows\\win.ini",
    "....//....//etc/passwd",
    "%2e%2e%2fetc%2fpasswd",
    "..%c0%af..%c0%afetc/passwd",
    "CON",
    "NUL",
    "aux.txt",
    "file:///etc/passwd",
    "abcdefghijklmnopqrstuvwxyz23456/",
];

#[test]
fn no_text_of_a_client_is_ever_a_file_s_name() {
    for text in HOSTILE {
        assert!(SessionId::parse(text).is_err(), "{text}");
    }
    for of in Call::ALL {
        let (dir, place) = prepared(of, Durability::Full);
        let (_, log) = call(&place, of, &[], &dir.path().join("log"));
        let names = opened(&log);
        assert!(!names.is_empty(), "{of:?}");
        for name in names {
            let own = Path::new(name).is_relative() && !name.contains('/') && !name.contains("..");
            // A save path is made and opened by its own name, once.
            let first = of == Call::First && place.path.starts_with(name);
            assert!(own || first, "{of:?} opened {name}");
        }
    }
}

#[test]
fn without_random_bytes_nothing_is_created() {
    let (dir, place) = prepared(Call::Create, Durability::Full);
    let faults = ["getrandom:error=EIO".to_owned()];
    let (answer, log) = call(&place, Call::Create, &faults, &dir.path().join("log"));
    assert!(log.contains("(INJECTED)"), "{log}");
    assert_ne!(answer, Some(session_tests::files::Answer::Done));
    assert!(!place.file(&Place::CREATED).exists());
}

/// Random bytes that were kept in the process would be had twice after a fork.
#[test]
fn each_id_is_drawn_from_the_system_anew() {
    let counted = std::process::Command::new("strace")
        .args(["-f", "-e", "trace=getrandom", "-o", "/dev/stdout"])
        .arg(env!("CARGO_BIN_EXE_file_call"))
        .args(["unused", "full", "ids"])
        .output()
        .unwrap();
    let text = String::from_utf8(counted.stdout).unwrap();
    let draws = text.lines().filter(|line| line.contains("getrandom(") && line.ends_with("= 20"));
    assert_eq!(draws.count(), 1000, "{text}");
    let ids: std::collections::BTreeSet<_> =
        (0..1000).map(|_| SessionId::generate(&OsRandom).unwrap().expose().to_owned()).collect();
    assert_eq!(ids.len(), 1000);
}
