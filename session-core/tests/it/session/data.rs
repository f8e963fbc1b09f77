//! What a session holds: get, set and the rest.

use session_core::{Conflict, ErrorKind, Key, MemoryHandler, Session, SessionManager, Value};

use super::support::{Rig, SECOND, kind, respond};

#[tokio::test]
async fn all_names_are_equal_and_none_is_ours() {
    let rig = Rig::new();
    let names = ["", "__proto__", "_flash", "cookie", "id", "save", "a\0b", "\u{1F980}", "ключ"];
    let id = rig
        .stored(|s| {
            s.flash("id", "a message")?;
            s.put(names.iter().zip(0..))
        })
        .await;
    let session = rig.load(&id).await;
    let mut sorted: Vec<_> = names.map(str::to_owned).to_vec();
    sorted.sort();
    assert_eq!(session.keys().unwrap(), sorted);
    assert_eq!(session.all().unwrap().len(), names.len());
    for (name, n) in names.iter().zip(0..) {
        assert_eq!(session.get::<i64>(*name).unwrap(), Some(n));
    }
    session.delete("cookie").unwrap();
    session.save().await.unwrap();
    assert_eq!(rig.load(&id).await.keys().unwrap().len(), names.len() - 1);
    assert_eq!(kind(named(&rig, 1025).await), ErrorKind::TooLarge);
    named(&rig, 1024).await.unwrap();
}

async fn named(rig: &Rig, len: usize) -> session_core::Result<()> {
    let session = rig.sessions.create();
    session.set(&"n".repeat(len), 1)?;
    session.save().await
}

#[tokio::test]
async fn values_come_back_as_they_were() {
    let rig = Rig::new();
    let text = "NUL \0, quotes \" ' \\, emoji \u{1F469}\u{200D}\u{1F680}, \u{10FFFF}";
    let bytes = Value::Bytes((0..=255).collect());
    let big = "x".repeat(1 << 20);
    let id = rig
        .stored(|s| {
            s.set("text", text)?;
            s.set("bytes", bytes.clone())?;
            s.set("null", None::<u8>)?;
            s.set("big", &big)
        })
        .await;
    let session = rig.load(&id).await;
    assert_eq!(session.get::<String>("text").unwrap().as_deref(), Some(text));
    assert_eq!(session.get::<Value>("bytes").unwrap(), Some(bytes));
    assert_eq!(session.get::<String>("big").unwrap(), Some(big));
    assert!(session.exists("null").unwrap() && !session.has("null").unwrap());
    assert!(!session.exists("absent").unwrap() && !session.has("absent").unwrap());
}

#[tokio::test]
async fn several_values_are_stored_all_or_none() {
    struct Bad;
    impl serde::Serialize for Bad {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("cannot be expressed"))
        }
    }
    let rig = Rig::new();
    let session = rig.sessions.create();
    assert!(session.put([("a", Ok(1)), ("b", Err(Bad))].map(|(k, v)| (k, OneOf(v)))).is_err());
    assert!(!session.is_changed());

    struct OneOf(Result<i32, Bad>);
    impl serde::Serialize for OneOf {
        fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            match &self.0 {
                Ok(n) => n.serialize(to),
                Err(bad) => bad.serialize(to),
            }
        }
    }
}

#[tokio::test]
async fn a_value_that_is_pulled_is_had_once() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.put([("foo", 1), ("bar", 2)])).await;
    let session = rig.load(&id).await;
    assert_eq!(session.pull::<i64>("foo").unwrap(), Some(1));
    assert_eq!(session.pull::<i64>("foo").unwrap(), None);
    assert_eq!(kind(session.pull::<String>("bar")), ErrorKind::TypeMismatch);
    respond(&session).await.0.unwrap();
    assert_eq!(rig.load(&id).await.keys().unwrap(), ["bar"]);
}

#[tokio::test]
async fn a_flush_keeps_the_session_and_takes_its_data() {
    let rig = Rig::new();
    let id = rig
        .stored(|s| {
            s.put([("a", 1), ("b", 2)])?;
            s.bind("tom")
        })
        .await;
    let session = rig.load(&id).await;
    session.set("c", 3).unwrap();
    session.flush().unwrap();
    session.set("b", 4).unwrap();
    assert_eq!(session.keys().unwrap(), ["b"]);
    session.save().await.unwrap();
    let session = rig.load(&id).await;
    assert_eq!(session.keys().unwrap(), ["b"]);
    assert!(session.owner().is_some());
    session.forget(["b", "absent"]).unwrap();
    session.save().await.unwrap();
    assert_eq!(rig.load(&id).await.keys().unwrap(), [""; 0]);
}

#[tokio::test]
async fn numbers_add_up_and_never_wrap() {
    let rig = Rig::new();
    let session = rig.sessions.create();
    assert_eq!(session.increment("n", 5).unwrap(), 5);
    assert_eq!(session.increment("n", -7).unwrap(), -2);
    session.set("max", i64::MAX).unwrap();
    assert_eq!(kind(session.increment("max", 1)), ErrorKind::TooLarge);
    session.save().await.unwrap();
    let session = rig.load(&session.id().unwrap()).await;
    assert_eq!(session.get::<i64>("n").unwrap(), Some(-2));
    assert_eq!(session.get::<i64>("max").unwrap(), Some(i64::MAX));
}

#[tokio::test]
async fn pushes_and_updates_of_parallel_requests_all_stay() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.set("list", ["first"])).await;
    let sessions = [rig.load(&id).await, rig.load(&id).await];
    for (session, n) in sessions.iter().zip(1_i64..) {
        session.push("list", n.to_string()).unwrap();
        session.update("sum", move |sum: Option<i64>| Some(sum.unwrap_or(0) + n)).unwrap();
    }
    for session in &sessions {
        session.save().await.unwrap();
    }
    let session = rig.load(&id).await;
    assert_eq!(session.get::<Vec<String>>("list").unwrap().unwrap(), ["first", "1", "2"]);
    assert_eq!(session.get::<i64>("sum").unwrap(), Some(3));
    assert_eq!(session.update("sum", |_: Option<i64>| None).unwrap(), None);
    session.save().await.unwrap();
    assert_eq!(rig.load(&id).await.keys().unwrap(), ["list"]);
}

#[test]
fn functions_and_iterators_may_look_at_the_session() {
    fn look(session: &Session) {
        session.set("step", 2).unwrap();
        let same = session.clone();
        let by_step = move |n: Option<i64>| Some(n.unwrap_or(0) + same.get::<i64>("step").ok()??);
        assert_eq!(session.update("n", by_step).unwrap(), Some(2));
        assert_eq!(session.get::<i64>("n").unwrap(), Some(2));
        assert!(session.exists("n").unwrap() && session.has("n").unwrap());
        assert_eq!(session.keys().unwrap(), ["n", "step"]);
        assert_eq!(session.all().unwrap().len(), 2);
        session.set("step", 3).unwrap();
        assert_eq!(session.pull::<i64>("n").unwrap(), Some(3), "it runs on what is there now");
        session.forget(["n", "step"].into_iter().filter(|key| session.has(key).unwrap())).unwrap();
        assert!(session.keys().unwrap().is_empty());
    }
    let (done, looked) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        look(&SessionManager::new(MemoryHandler::new()).create());
        done.send(()).unwrap();
    });
    assert_eq!(looked.recv_timeout(SECOND * 10), Ok(()), "a lock is held");
}

#[tokio::test]
async fn a_flash_message_is_shown_once_and_is_no_key() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.flash("note", "saved")).await;
    let session = rig.load(&id).await;
    assert!(session.keys().unwrap().is_empty() && session.all().unwrap().is_empty());
    assert_eq!(session.get::<String>("note").unwrap(), None);
    respond(&session).await.0.unwrap();

    let session = rig.load(&id).await;
    assert_eq!(session.flashed::<String>("note").unwrap().as_deref(), Some("saved"));
    assert_eq!(session.flashed::<String>("note").unwrap(), None);
    respond(&session).await.0.unwrap();
    assert_eq!(rig.load(&id).await.flashed::<String>("note").unwrap(), None);
}

#[tokio::test]
async fn a_flash_message_can_be_kept_for_one_more_request() {
    let rig = Rig::new();
    let id = rig
        .stored(|s| {
            s.flash("old", "1")?;
            s.flash("replaced", "1")
        })
        .await;
    let session = rig.load(&id).await;
    assert!(session.flashed::<String>("old").unwrap().is_some());
    session.flash("replaced", "2").unwrap();
    session.flash("new", "3").unwrap();
    session.keep_flash().unwrap();
    respond(&session).await.0.unwrap();
    let session = rig.load(&id).await;
    for (name, text) in [("old", "1"), ("replaced", "2"), ("new", "3")] {
        assert_eq!(session.flashed::<String>(name).unwrap().as_deref(), Some(text), "{name}");
    }
}

#[tokio::test]
async fn a_message_that_is_flashed_and_taken_in_one_request_can_be_kept() {
    let rig = Rig::new();
    let id = rig.stored(|s| s.flash("replaced", "old")).await;
    let session = rig.load(&id).await;
    session.flush().unwrap();
    for (name, text) in [("replaced", "1"), ("new", "2")] {
        session.flash(name, text).unwrap();
        assert_eq!(session.flashed::<String>(name).unwrap().as_deref(), Some(text));
        assert_eq!(session.flashed::<String>(name).unwrap(), None);
    }
    session.keep_flash().unwrap();
    respond(&session).await.0.unwrap();
    let session = rig.load(&id).await;
    for (name, text) in [("replaced", "1"), ("new", "2")] {
        assert_eq!(session.flashed::<String>(name).unwrap().as_deref(), Some(text));
    }
}

#[tokio::test]
async fn clones_are_one_session_also_between_two_saves() {
    let rig = Rig::with(|p| p.conflict = Conflict::Strict);
    let session = rig.sessions.create();
    let clone = session.clone();
    session.set("a", 1).unwrap();
    assert_eq!(clone.get::<i64>("a").unwrap(), Some(1));
    clone.save().await.unwrap();
    session.set("b", 2).unwrap();
    session.save().await.unwrap();
    assert_eq!(clone.keys().unwrap(), ["a", "b"]);
    assert_eq!(rig.load(&clone.id().unwrap()).await.keys().unwrap(), ["a", "b"]);
}

#[tokio::test]
async fn every_call_takes_a_typed_key() {
    const N: Key<'static, u32> = Key::new("n");
    const LIST: Key<'static, Vec<String>> = Key::new("list");
    let session = Rig::new().sessions.create();
    session.set(N, 1).unwrap();
    assert_eq!(session.increment(N, 2).unwrap(), 3);
    assert!(session.has(N).unwrap() && session.exists(N).unwrap());
    session.push(LIST, "item").unwrap();
    assert_eq!(session.get(LIST).unwrap(), Some(vec!["item".to_owned()]));
    session.flash(N, 7).unwrap();
    assert_eq!(session.flashed(N).unwrap(), Some(7));
    session.delete(N).unwrap();
    session.forget([LIST]).unwrap();
    session.put([(N, 4)]).unwrap();
    assert_eq!(session.keys().unwrap(), ["n"]);

    // And plain text, owned or not.
    let name = "n".to_owned();
    assert_eq!(session.increment(&name, 1).unwrap(), 5);
    session.flash(&name, "message").unwrap();
    session.delete(&name).unwrap();
    session.delete(name).unwrap();
}
