//! Valid inputs to begin from: made by the encoders, and kept as files.

use std::fs;
use std::path::Path;
use std::time::Duration;

use data_encoding::BASE64;
use session_core::testkit::ScriptedRandom;
use session_core::{
    Bincode, Bytes, Json, MemoryHandler, MessagePack, Owner, Postcard, Serializer, Serializers,
    SessionHandler, SessionKey, SessionManager, Value, WriteMode, WriteOptions,
};
use session_file::{Durability, FileConfig, FileHandler};
use tempfile::TempDir;

use crate::{file, frame, wait};

/// Returns inputs for a target: valid ones, and those that were once found to
/// break something or to reach far, from the folder `corpora`: one to a line.
///
/// # Panics
///
/// If there is no target of that name.
#[must_use]
pub fn corpus(target: &str) -> Vec<Vec<u8>> {
    let mut inputs = match target {
        "frame" => frames(),
        "bincode" => values(&Bincode),
        "postcard" => values(&Postcard),
        "msgpack" => values(&MessagePack),
        "json" => values(&Json),
        "cookie_header" => texts(&COOKIES),
        "signed_cookie" => texts(&SIGNED),
        "session_id" => texts(&IDS),
        "store_uri" => texts(&URIS),
        "configuration" => texts(&SETTINGS),
        "cursor" => texts(&["", "AAAA", "YWJjZGVmZw", "-_-_", "a=b"]),
        "file_record" => files(),
        _ => panic!("no target {target}"),
    };
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpora").join(format!("{target}.txt"));
    let kept = fs::read_to_string(kept).unwrap_or_default();
    let lines = kept.lines().filter(|line| !line.starts_with('#'));
    inputs.extend(lines.map(|line| BASE64.decode(line.as_bytes()).expect("a line of base64")));
    inputs
}

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const IDS: [&str; 4] =
    [A, "abcdefghijklmnopqrstuvwxyz234567", "", "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"];
const COOKIES: [&str; 6] = [
    "__Host-sid=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "a=1; __Host-sid=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; __Host-sid=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb; b",
    "=__Host-sid=x; ; =; $Version=1; a=\"b;c\"",
    "a=1\n__Host-sid=cccccccccccccccccccccccccccccccc\n\u{fe}",
    "%5f%5fHost-sid=dddddddddddddddddddddddddddddddd; __host-sid=x; __Host-sid =aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "__Host-sid=\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"; __Host-sid=; __Host-sid",
];
const SIGNED: [&str; 3] = [
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.",
    ".",
];
const URIS: [&str; 6] = [
    "redis://user:p%40ss@[::1]:6379/1?session.prefix=a%3ab&protocol=3",
    "mongodb://a:1,b:2/app?replicaSet=rs0&session.collection=s",
    "file:///var/lib/app?session.durability=full&session.max_blocking=9",
    "mysql://h/db?ssl-mode=required&session.table=t&session.touch=1.5",
    "memory:",
    "file:a%20b",
];
const SETTINGS: [&str; 4] = [
    "[session]\nstore = 'memory:'\nidle = 900\nabsolute = 3600.5\noutage = 'stale:60'\n\
     per_owner = { sessions = 5, excess = 'evict' }\nexclusive = { wait = 1, lease = 2 }",
    "trust_proxy = true\n[cookie]\nname = '__Secure-a'\ndomain = 'example.org'\nsame_site = 'strict'\n\
     secure = 'always'\npath = '/a'\npartitioned = true",
    r#"{"session": {"store": "redis://h", "gc_probability": 1, "gc_divisor": 100, "grace": 1e1},
        "cookie": {"secure": "auto", "http_only": true}, "eager": false}"#,
    "[session]\nidle = 1e308\nabsolute = 0\ntouch_interval = inf\ndeadline = nan",
];

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn sample() -> Vec<Value> {
    let mut deep = Value::Null;
    for _ in 0..20 {
        deep = Value::List(vec![deep, Value::from_iter([("k", 1)])]);
    }
    vec![
        Value::Null,
        Value::Bool(true),
        Value::from(-1),
        Value::from(u64::MAX),
        Value::Float(-0.0),
        Value::Float(f64::NAN),
        Value::from("text with \"quotes\" and \u{1f980}"),
        Value::Bytes((0..=255).collect()),
        Value::List(vec![Value::from(1), Value::from("two"), Value::Null]),
        Value::from_iter([("name", Value::from("Ann")), ("", Value::List(vec![]))]),
        deep,
    ]
}

fn values(serializer: &dyn Serializer) -> Vec<Vec<u8>> {
    let encode = |value: &Value| {
        let mut out = Vec::new();
        serializer.encode(value, &mut out).expect("a value");
        out
    };
    sample().iter().map(encode).collect()
}

/// Records as sessions are stored, and a pointer.
fn frames() -> Vec<Vec<u8>> {
    ["bincode", "postcard", "msgpack", "json"]
        .into_iter()
        .flat_map(|name| wait(framed(Serializers::by_name(name).expect("compiled in"))))
        .collect()
}

async fn framed(serializers: Serializers) -> Vec<Vec<u8>> {
    let memory = MemoryHandler::new();
    let sessions = SessionManager::builder(memory.clone())
        .serializers(serializers)
        .random(ScriptedRandom::new([1, 2]))
        .build()
        .expect("a standard manager");
    let key = SessionKey::of(&frame::id());
    let read = async || {
        let stored = memory.read(&key).await.expect("memory answers");
        stored.expect("it was saved").payload.to_vec()
    };
    let session = sessions.create();
    session.set("n", 1).expect("a value");
    session.save().await.expect("memory saves");
    let small = read().await;
    for (number, value) in sample().into_iter().enumerate() {
        session.set(format!("key {number}").as_str(), value).expect("a value");
    }
    session.flash("notice", "hello").expect("a value");
    session.bind("ann").expect("an owner");
    session.mark_authenticated().expect("a session");
    session.set_idle(Some(Duration::from_secs(60))).expect("a session");
    session.set_persistent(Some(true)).expect("a session");
    session.save().await.expect("memory saves");
    let large = read().await;
    session.regenerate().expect("a session");
    session.save().await.expect("memory saves");
    vec![small, large, read().await]
}

/// Files as the engine writes them, each with and without checksums made right.
fn files() -> Vec<Vec<u8>> {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("sessions");
    let config = FileConfig::new(&path).with_durability(Durability::Process);
    let handler = FileHandler::new(config).expect("possible settings");
    let name = file::KEY.to_string();
    let record = path.join(&name[..2]).join(name);
    let mut files = Vec::new();
    for (owner, payload) in [(None, &b""[..]), (Some("ann"), b"payload"), (Some("b"), &[9; 2000])] {
        let mut options = WriteOptions::new(WriteMode::Create, Duration::from_secs(1 << 30));
        options.owner = owner.map(|name| Owner::new(name).expect("a name"));
        let payload = Bytes::copy_from_slice(payload);
        wait(handler.write(&file::KEY, payload, &options)).expect("room");
        let bytes = fs::read(&record).expect("it was written");
        files.extend([0, 1].map(|how| [&[how], &bytes[..]].concat()));
        wait(handler.destroy(&file::KEY, None)).expect("it is there");
    }
    files
}
