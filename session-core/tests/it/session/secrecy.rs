//! Nothing secret is shown: not by `Debug`, not in errors, not in events.

use std::fmt::Write;
use std::sync::{Arc, Mutex};

use session_core::testkit::Chaos;
use session_core::{
    Bytes, Cursor, Error, ErrorKind, Event, ManualClock, MemoryHandler, Observer, Operation, Owner,
    PageRequest, SessionHandler, SessionId, SessionKey, SessionManager, Status, StoreUri, Value,
    WriteMode, WriteOptions,
};

use super::support::{Rig, SECOND, key, respond};

const CANARY: &str = "c4n4ry-hunter2";

/// Collects all that anybody could print, and finds out what must not be in it.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    fn debug(&self, thing: &dyn std::fmt::Debug) {
        writeln!(self.0.lock().unwrap(), "{thing:?} {thing:#?}").unwrap();
    }

    fn error(&self, err: &Error) {
        self.debug(err);
        let mut next: Option<&dyn std::error::Error> = Some(err);
        while let Some(err) = next {
            writeln!(self.0.lock().unwrap(), "{err}").unwrap();
            next = err.source();
        }
    }

    fn assert_free_of(&self, secrets: &[&str]) {
        let text = self.0.lock().unwrap().to_lowercase();
        for secret in secrets {
            let secret = secret.to_lowercase();
            assert!(!text.contains(&secret), "{secret} is shown in {text}");
            let bytes = format!("{:?}", secret.as_bytes());
            assert!(!text.contains(bytes.trim_matches(['[', ']'])), "{secret} is shown as bytes");
        }
    }
}

impl Observer for Log {
    fn observe(&self, event: &Event<'_>) {
        self.debug(event);
        if let Event::Call { error: Some(err), .. } | Event::Unseen(err) = event {
            self.error(err);
        }
    }
}

#[tokio::test]
async fn no_debug_no_error_and_no_event_shows_a_secret() {
    let log = Log::default();
    let clock = ManualClock::new();
    let memory = MemoryHandler::new().with_clock(Arc::new(clock.clone()));
    let chaos = Chaos::new(memory.clone());
    let sessions = SessionManager::builder(chaos.clone())
        .clock(clock.clone())
        .observer(log.clone())
        .build()
        .unwrap();
    log.debug(&SessionManager::builder(memory.clone()));

    let session = sessions.create();
    session.set(CANARY, CANARY).unwrap();
    session.flash("flash", CANARY).unwrap();
    session.bind(CANARY).unwrap();
    log.debug(&session);
    session.save().await.unwrap();
    let (id, record) = (session.id().unwrap(), key(&session.id().unwrap()));
    let stored = memory.read(&record).await.unwrap().unwrap();
    let options = WriteOptions::new(WriteMode::IfVersion(stored.version.clone()), SECOND)
        .with_owner(Owner::new(CANARY).unwrap());
    let owner = Owner::new(CANARY).unwrap();
    let another = sessions.create();
    another.bind(CANARY).unwrap();
    another.save().await.unwrap();
    let page = sessions.sessions_of(&owner, &PageRequest::first(1)).await.unwrap();
    let cursor = page.next.clone().expect("there are two");
    let request = PageRequest::at(cursor.clone(), 1);
    let things: [&dyn std::fmt::Debug; 14] = [
        &id,
        &record,
        &session,
        &sessions,
        &stored,
        &options,
        &owner,
        &page,
        &cursor,
        &request,
        &memory,
        &chaos,
        &Value::from(CANARY),
        &StoreUri::parse(&format!("redis://u:{CANARY}@h/?session.auth={CANARY}")).unwrap(),
    ];
    things.into_iter().for_each(|thing| log.debug(thing));

    log.error(&session.get::<u32>(CANARY).unwrap_err());
    log.error(&session.get::<Strict>(CANARY).unwrap_err());
    log.error(&session.increment(CANARY, 1).unwrap_err());
    log.error(&SessionId::parse(CANARY).unwrap_err());
    log.error(&StoreUri::parse(CANARY).unwrap_err());
    log.error(&Cursor::parse(&format!("{CANARY}!")).unwrap_err());
    let clash = WriteOptions::new(WriteMode::Create, SECOND);
    log.error(&memory.write(&record, Bytes::from(CANARY), &clash).await.unwrap_err());

    for operation in [Operation::Read, Operation::Write, Operation::Destroy] {
        chaos.fail_once(operation, ErrorKind::Unavailable);
        let session = sessions.load(&id).await;
        let Ok(session) = session else { continue };
        session.set(CANARY, format!("{CANARY}2")).unwrap();
        session.regenerate().unwrap();
        if operation == Operation::Destroy {
            session.destroy().unwrap();
        }
        let (saved, cookie) = respond(&session).await;
        log.error(&saved.unwrap_err());
        log.debug(&(session, cookie));
    }
    memory.write(&record, Bytes::from(CANARY), &options).await.unwrap();
    assert_eq!(sessions.load(&id).await.unwrap().status(), Status::Unknown);

    let other = another.id().unwrap();
    for id in [&id, &other] {
        let record = key(id);
        let hexadecimal = record.to_string();
        // As `Debug` shows bytes, without the quotes around them.
        let bytes = format!("{:?}", Bytes::copy_from_slice(&record.as_bytes()[..8]));
        let bytes = &bytes[2..bytes.len() - 1];
        log.assert_free_of(&[CANARY, "hunter2", id.expose(), &hexadecimal[..16], bytes]);
    }
}

/// A type whose serde messages repeat what they met.
#[derive(Debug, serde::Deserialize)]
enum Strict {
    #[allow(dead_code)]
    Only,
}

#[tokio::test]
async fn a_panic_in_a_handler_shows_no_secret() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("k", CANARY)).await;
    let session = rig.load(&id).await;
    let message = format!("{session:?} {:?}", rig.sessions);
    assert!(!message.contains(CANARY) && !message.contains(id.expose()));
    let handle = session.handle().unwrap();
    assert!(!id.expose().contains(&handle), "a handle is not a part of the id");
    assert_ne!(SessionKey::of(&id).to_string(), handle);
}
