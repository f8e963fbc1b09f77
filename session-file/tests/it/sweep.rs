//! Garbage collection: what goes, what stays, and how far a step goes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use session_core::{GcRequest, SessionHandler, SessionKey, WriteMode, WriteOptions};

use crate::support::{HOUR, Place, SECOND, create, key};

async fn short_lived(place: &Place, key: &SessionKey) {
    let options = WriteOptions::new(WriteMode::Create, SECOND);
    place.handler.write(key, "".into(), &options).await.unwrap();
}

#[tokio::test]
async fn steps_are_bounded_and_cover_everything() {
    let place = Place::new();
    for number in 0..30_u8 {
        let mut bytes = [number % 2; 32];
        bytes[31] = number;
        short_lived(&place, &SessionKey::from_bytes(bytes)).await;
    }
    create(&place.handler, &key(200), b"").await;
    place.clock.advance(SECOND);
    let (mut removed, mut steps) = (0, 0);
    loop {
        let report = place.handler.gc(&GcRequest::new(4)).await.unwrap();
        assert!(report.scanned <= 4);
        removed += report.removed;
        steps += 1;
        if !report.more {
            break;
        }
    }
    assert_eq!((removed, steps), (30, 8));
    assert!(place.read(&key(200)).await.is_some());
}

#[tokio::test]
async fn a_step_without_time_still_gets_on() {
    let place = Place::new();
    for number in [1, 200] {
        short_lived(&place, &key(number)).await;
    }
    place.clock.advance(SECOND);
    let mut request = GcRequest::default();
    request.time = Duration::ZERO;
    let first = place.handler.gc(&request).await.unwrap();
    assert_eq!((first.removed, first.more), (1, true));
    assert_eq!(place.handler.gc(&request).await.unwrap().removed, 1);
}

#[tokio::test]
async fn only_old_temporary_files_and_expired_records_go() {
    let place = Place::new();
    create(&place.handler, &key(1), b"live").await;
    let shard = place.file(&key(1)).parent().unwrap().to_owned();
    let old = SystemTime::now() - 2 * HOUR;
    let plant = |name: &str, at: SystemTime| {
        let file = fs::File::create(shard.join(name)).unwrap();
        file.set_modified(at).unwrap();
    };
    plant(".tmp-0123456789abcdef", old);
    plant(".tmp-fedcba9876543210", SystemTime::now());
    plant(".tmp-by-somebody-else", old);
    plant("notes.txt", old);
    plant(&key(2).to_string(), old);
    fs::create_dir(shard.join("lost+found")).unwrap();
    fs::create_dir(place.base().join("backup")).unwrap();

    let report = place.handler.gc(&GcRequest::default()).await.unwrap();

    assert_eq!((report.removed, report.skipped, report.more), (0, 0, false));
    let left = place.names(&key(1));
    let expected = [
        ".lock",
        ".tmp-by-somebody-else",
        ".tmp-fedcba9876543210",
        &key(1).to_string(),
        &key(2).to_string(),
        "lost+found",
        "notes.txt",
    ];
    assert_eq!(left, expected);
    assert!(place.base().join("backup").exists());
}

#[tokio::test]
async fn a_touched_session_is_not_garbage() {
    let place = Place::new();
    short_lived(&place, &key(1)).await;
    place.clock.advance(SECOND / 2);
    assert!(place.another().touch(&key(1), HOUR).await.unwrap());
    place.clock.advance(SECOND);
    assert_eq!(place.handler.gc(&GcRequest::default()).await.unwrap().removed, 0);
    assert!(place.read(&key(1)).await.is_some());
}

#[tokio::test]
async fn grants_go_when_their_lease_is_over() {
    let place = Place::new();
    let locker = place.handler.locker().unwrap();
    let first = locker.try_lock(&key(1), SECOND).await.unwrap().unwrap();
    place.handler.gc(&GcRequest::default()).await.unwrap();
    assert!(locker.renew(&key(1), first, SECOND).await.unwrap(), "a held lock stays");
    place.clock.advance(SECOND);
    place.handler.gc(&GcRequest::default()).await.unwrap();
    assert_eq!(place.names(&key(1)), [".lock"]);
    assert!(locker.try_lock(&key(1), SECOND).await.unwrap().unwrap() > first);
}

#[tokio::test]
async fn torn_grants_go_too() {
    let place = Place::new();
    let locker = place.handler.locker().unwrap();
    locker.try_lock(&key(1), HOUR).await.unwrap().unwrap();
    let grant = place.file(&key(1)).with_extension("grant");
    let whole = fs::read(&grant).unwrap();
    for torn in [&whole[..0], &whole[..30], &[0; 60]] {
        fs::write(&grant, torn).unwrap();
        place.handler.gc(&GcRequest::default()).await.unwrap();
        assert_eq!(place.names(&key(1)), [".lock"]);
        fs::write(&grant, &whole).unwrap();
        fs::set_permissions(&grant, fs::Permissions::from_mode(0o600)).unwrap();
    }
    place.handler.gc(&GcRequest::default()).await.unwrap();
    assert_eq!(locker.try_lock(&key(1), HOUR).await.unwrap(), None, "a whole one stays");
}
