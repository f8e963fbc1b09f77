//! What sessions cost beside the store's own round trip.
//!
//! `cargo bench -p session-core --all-features`. All on memory, which answers at
//! once, so that nothing but our own work is measured.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use divan::{Bencher, black_box};
use session_core::{MemoryHandler, Serializers, Session, SessionId, SessionManager, Value};

fn main() {
    divan::main();
}

/// Runs a future that never waits, as those on memory do.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("memory never waits"),
    }
}

/// A shopping cart, about 700 bytes of JSON.
fn cart() -> Value {
    let item = |n: i64| {
        Value::from_serialize(&(format!("article {n}"), n, n as f64 * 1.5, [true, false]))
            .expect("plain data")
    };
    Value::List((0..16).map(item).collect())
}

fn serializers() -> Vec<&'static str> {
    Serializers::default().names().collect()
}

/// A session of fifty keys, 8 KiB in all.
fn stored(sessions: &SessionManager) -> SessionId {
    let session = sessions.create();
    let values = (0..50).map(|n| (format!("key{n:02}"), "x".repeat(150)));
    session.put(values).expect("plain data");
    now(session.save()).expect("memory never fails");
    session.id().expect("it is stored")
}

fn load(sessions: &SessionManager, id: &SessionId) -> Session {
    now(sessions.load(id)).expect("memory never fails")
}

#[divan::bench(args = serializers())]
fn encode(bencher: Bencher<'_, '_>, name: &str) {
    let serializers = Serializers::by_name(name).expect("it is compiled in");
    let (cart, mut bytes) = (cart(), Vec::with_capacity(4096));
    bencher.bench_local(|| {
        bytes.clear();
        serializers.writer().encode(black_box(&cart), &mut bytes).expect("plain data");
        bytes.len()
    });
}

#[divan::bench(args = serializers())]
fn decode(bencher: Bencher<'_, '_>, name: &str) {
    let serializers = Serializers::by_name(name).expect("it is compiled in");
    let mut bytes = Vec::new();
    serializers.writer().encode(&cart(), &mut bytes).expect("plain data");
    bencher.bench_local(|| serializers.writer().decode(black_box(&bytes)).expect("our bytes"));
}

#[divan::bench]
fn load_and_read_one_key_of_fifty(bencher: Bencher<'_, '_>) {
    let sessions = SessionManager::new(MemoryHandler::new());
    let id = stored(&sessions);
    bencher.bench_local(|| {
        load(&sessions, &id).get::<String>("key25").expect("it is a text").map(|text| text.len())
    });
}

#[divan::bench]
fn load_and_read_nothing(bencher: Bencher<'_, '_>) {
    let sessions = SessionManager::new(MemoryHandler::new());
    let id = stored(&sessions);
    bencher.bench_local(|| load(&sessions, &id));
}

#[divan::bench]
fn load_change_one_key_of_fifty_and_save(bencher: Bencher<'_, '_>) {
    let sessions = SessionManager::new(MemoryHandler::new());
    let id = stored(&sessions);
    let mut n = 0_i64;
    bencher.bench_local(|| {
        let session = load(&sessions, &id);
        n += 1;
        session.set("n", n).expect("plain data");
        now(session.save()).expect("memory never fails");
    });
}

#[divan::bench]
fn begin_save_and_end(bencher: Bencher<'_, '_>) {
    let sessions = SessionManager::new(MemoryHandler::new());
    bencher.bench_local(|| {
        let session = sessions.create();
        session.set("n", 1).expect("plain data");
        now(session.save()).expect("memory never fails");
        session.destroy().expect("it may be changed");
        now(session.save()).expect("memory never fails");
    });
}

#[divan::bench]
fn a_visitor_without_a_session(bencher: Bencher<'_, '_>) {
    let sessions = SessionManager::new(MemoryHandler::new());
    bencher.bench_local(|| {
        let session = sessions.create();
        let found = session.get::<i64>("n").expect("there is nothing");
        (found, session.seal(session_core::Save::All).is_none())
    });
}
