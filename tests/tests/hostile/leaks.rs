//! Secrets in what is printed, logged, counted, answered or kept.

use std::error::Error as StdError;
use std::fmt::{Debug, Write as _};
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use http::{Request, Response, StatusCode};
use metrics_util::debugging::{DebuggingRecorder, Snapshotter};
use session_core::testkit::Chaos;
use session_core::{
    Bytes, Error, ErrorKind, Event, MemoryHandler, MetricsObserver, Observer, Operation, Owner,
    PageRequest, Policy, SessionHandler, SessionId, SessionKey, SessionManager, TracingObserver,
    WriteMode, WriteOptions,
};
use session_file::{Durability, FileConfig, FileHandler};
use session_http::{KeyRing, RequestSessionExt, Session, SessionLayer};
use session_tests::servers::{Own, Shared};
use tracing_subscriber::fmt::MakeWriter;

use crate::site::{Answer, cookie, request, send, text};

/// Data, owner, key of a value and password.
const CANARY: &str = "c4n4ry-hunter2";
const SIGNING: &[u8] = b"c4n4ry-hunter2-signing-key-of-32-bytes-and-more";

/// One of each kind.
const SERVERS: [Shared; 4] = [Shared::Redis, Shared::MariaDb, Shared::MySql, Shared::MongoDb];

/// All that was printed, by anybody in this process.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Output {
    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, text: &str) {
        self.bytes().extend(text.as_bytes());
        self.bytes().push(b'\n');
    }

    fn debug(&self, thing: &dyn Debug) {
        self.say(&format!("{thing:?} {thing:#?}"));
    }

    fn error(&self, err: &Error) {
        self.debug(err);
        let mut next: Option<&dyn StdError> = Some(err);
        while let Some(err) = next {
            self.say(&format!("{err}"));
            next = err.source();
        }
    }

    fn answer(&self, answer: &Answer) {
        // The one place where an id belongs.
        let mut head = String::new();
        for (name, value) in answer.headers() {
            if name != http::header::SET_COOKIE {
                writeln!(head, "{name}: {value:?}").unwrap();
            }
        }
        self.say(&head);
        self.debug(answer.headers());
        self.bytes().extend(answer.body());
    }
}

impl io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Output {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The whole process's output and metrics, from the first test on.
fn captured() -> &'static (Output, Snapshotter) {
    static CAPTURED: OnceLock<(Output, Snapshotter)> = OnceLock::new();
    CAPTURED.get_or_init(|| {
        let output = Output::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(output.clone())
            .finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
        let recorder = DebuggingRecorder::new();
        let snapshotter = recorder.snapshotter();
        recorder.install().unwrap();
        let panics = output.clone();
        let earlier = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            panics.say(&panic.to_string());
            earlier(panic);
        }));
        (output, snapshotter)
    })
}

/// Tells tracing, metrics and the output.
#[derive(Debug)]
struct Everybody;

impl Observer for Everybody {
    fn observe(&self, event: &Event<'_>) {
        TracingObserver.observe(event);
        MetricsObserver.observe(event);
        captured().0.debug(event);
    }
}

/// A session that was begun, and all that it takes to go on with it.
struct Life<'a> {
    output: &'a Output,
    chaos: Chaos,
    layer: SessionLayer,
    /// What the client sends.
    cookie: String,
    key: SessionKey,
}

/// A life of a session with everything in it that can go wrong. Returns the
/// secrets that came up.
async fn live(handler: Arc<dyn SessionHandler>, output: &Output) -> Vec<String> {
    let (life, secrets) = Life::begin(handler, output).await;
    life.fail().await;
    life.outgrow().await;
    life.panic().await;
    life.be_damaged().await;
    secrets
}

impl<'a> Life<'a> {
    /// Begins a session of secrets, and returns these with it.
    async fn begin(handler: Arc<dyn SessionHandler>, output: &'a Output) -> (Self, Vec<String>) {
        let chaos = Chaos::new(handler);
        let mut policy = Policy::default();
        policy.max_bytes = 4096;
        let sessions = SessionManager::builder(chaos.clone());
        let sessions = sessions.policy(policy).observer(Everybody).build().unwrap();
        let keys = KeyRing::new([SIGNING]).unwrap();
        output.debug(&(&sessions, &keys, &chaos));
        let layer = SessionLayer::builder(sessions.clone()).signed(keys).build().unwrap();
        output.debug(&layer);

        let begun = send(&layer, Request::new(()), async |request| {
            let session = request.session().await.unwrap();
            session.set(CANARY, CANARY).unwrap();
            session.bind(CANARY).unwrap();
            session.flash("notice", CANARY).unwrap();
            captured().0.debug(&(&session, &request));
            text("")
        })
        .await;
        output.answer(&begun);
        let cookie = cookie(&begun).unwrap();
        let (id, signature) = cookie.strip_prefix("__Host-sid=").unwrap().split_once('.').unwrap();
        let id = SessionId::parse(id).unwrap();
        let key = SessionKey::of(&id);
        let secrets = vec![id.expose().to_owned(), signature.to_owned(), key.to_string()];
        output.debug(&(&id, &key, chaos.read(&key).await.unwrap()));
        let owner = Owner::new(CANARY).unwrap();
        output.debug(&sessions.sessions_of(&owner, &PageRequest::first(9)).await);
        (Self { output, chaos, layer, cookie, key }, secrets)
    }

    /// Every operation fails, and values are read as what they are not.
    async fn fail(&self) {
        for operation in [Operation::Read, Operation::Write, Operation::Touch, Operation::Destroy] {
            for kind in [ErrorKind::Unavailable, ErrorKind::Timeout, ErrorKind::Corrupt] {
                self.chaos.fail_once(operation, kind);
                let answer = send(&self.layer, request(self.cookie.as_bytes()), async |request| {
                    let session = match request.session().await {
                        Ok(session) => session,
                        Err(err) => {
                            captured().0.error(&err);
                            return session_http::default_response(&err).map(Into::into);
                        }
                    };
                    misuse(&session);
                    if operation == Operation::Touch {
                        let refreshed = session.refresh().await;
                        refreshed.iter().for_each(|touched| assert!(*touched));
                        refreshed.err().iter().for_each(|err| captured().0.error(err));
                    }
                    text("")
                })
                .await;
                self.output.answer(&answer);
                self.chaos.heal();
            }
        }
    }

    /// Becomes too large.
    async fn outgrow(&self) {
        let answer = send(&self.layer, request(self.cookie.as_bytes()), async |request| {
            request.session().await.unwrap().set("more", CANARY.repeat(1000)).unwrap();
            text("")
        })
        .await;
        assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
        self.output.answer(&answer);
    }

    async fn panic(&self) {
        let panicking = send(&self.layer, request(self.cookie.as_bytes()), async |request| {
            let session = request.session().await.unwrap();
            panic!("a handler that shows its session: {session:?}");
        });
        assert!(AssertUnwindSafe(panicking).catch_unwind().await.is_err());
    }

    async fn be_damaged(&self) {
        let version = self.chaos.read(&self.key).await.unwrap().unwrap().version;
        let options = WriteOptions::new(WriteMode::IfVersion(version), Duration::from_secs(60));
        self.chaos.write(&self.key, Bytes::from(CANARY), &options).await.unwrap();
        let answer = send(&self.layer, request(self.cookie.as_bytes()), async |request| {
            let session = request.session().await.unwrap();
            captured().0.debug(&session);
            session.regenerate().unwrap();
            session.destroy().unwrap();
            text("")
        })
        .await;
        self.output.answer(&answer);
    }
}

/// Uses a session so that each call is an error, or may be.
fn misuse(session: &Session) {
    let wrong = [
        session.get::<u32>(CANARY).err(),
        session.increment(CANARY, 1).err(),
        session.set("more", CANARY).err(),
    ];
    wrong.iter().flatten().for_each(|err| captured().0.error(err));
}

/// Addresses of every engine at which nobody listens.
const NOBODY: [&str; 6] = [
    "redis://c4n4ry-hunter2:c4n4ry-hunter2@127.0.0.1:1/0?session.timeout=0.2",
    "rediss://user:c4n4ry-hunter2@127.0.0.1:1/0?session.timeout=0.2",
    "redis+cluster://user:c4n4ry-hunter2@127.0.0.1:1?session.timeout=0.2",
    "redis+sentinel://user:c4n4ry-hunter2@127.0.0.1:1/0?session.master=m&session.timeout=0.2",
    "mysql://user:c4n4ry-hunter2@127.0.0.1:1/db?session.timeout=0.2",
    "mongodb://user:c4n4ry-hunter2@127.0.0.1:1/db?session.timeout=0.2",
];

/// Opens a store that cannot be opened. Returns why, after everything is told to the output.
async fn refused(uri: &str, output: &Output) -> ErrorKind {
    let err = match session_http::registry().connect(uri).await {
        Ok(handler) => {
            output.debug(&handler);
            handler.open().await.expect_err("a store that cannot be opened")
        }
        Err(err) => err,
    };
    output.error(&err);
    err.kind()
}

/// Addresses of stores that cannot be reached, do not let in, are wrong, or are not addresses.
async fn connect_in_vain(output: &Output) {
    for uri in NOBODY {
        let kind = refused(uri, output).await;
        assert!(matches!(kind, ErrorKind::Unavailable | ErrorKind::Timeout), "{uri}: {kind}");
    }
    for server in SERVERS {
        let url = server.url();
        let (scheme, rest) = url.split_once("://").unwrap();
        let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
        let kind = refused(&format!("{scheme}://tests:c4n4ry-hunter2@{rest}"), output).await;
        assert_eq!(kind, ErrorKind::PermissionDenied, "{server:?}");
    }
    let registry = session_http::registry();
    // What is no server has no password; a path is not secret.
    for scheme in registry.schemes().filter(|scheme| !["file", "memory"].contains(scheme)) {
        for rest in [
            "//user:c4n4ry-hunter2@[bad/0",
            // Names of options are not secret, and are quoted to say which is wrong.
            "//user:c4n4ry-hunter2@127.0.0.1:1/?session.typo=1",
            "//user:c4n4ry-hunter2@127.0.0.1:1/?c4n4ry=%zz",
            "c4n4ry-hunter2@",
        ] {
            let kind = refused(&format!("{scheme}:{rest}"), output).await;
            assert_eq!(kind, ErrorKind::InvalidConfig, "{scheme}:{rest}");
        }
    }
}

/// Fails if one of the secrets stands in the output, as text or as numbers.
fn assert_free(output: &[u8], secrets: &[String]) {
    let output = String::from_utf8_lossy(output).to_lowercase();
    for secret in secrets {
        let secret = secret.to_lowercase();
        if let Some(at) = output.find(&secret) {
            let from = output.floor_char_boundary(at.saturating_sub(300));
            let to = output.ceil_char_boundary(at + 100);
            panic!("a secret is shown: ..{}..", &output[from..to]);
        }
        let numbers = format!("{:?}", &secret.as_bytes()[..secret.len().min(8)]);
        assert!(!output.contains(numbers.trim_matches(['[', ']'])), "a secret is shown as numbers");
    }
}

#[tokio::test]
async fn no_secret_is_in_any_log_metric_error_or_panic() {
    let (output, snapshotter) = captured();
    let dir = tempfile::tempdir().unwrap();
    let config = FileConfig::new(dir.path().join("s")).with_durability(Durability::Process);
    let mut secrets = vec![CANARY.to_owned(), "hunter2".to_owned()];
    secrets.push(String::from_utf8(SIGNING.to_vec()).unwrap());
    secrets.extend(live(Arc::new(MemoryHandler::new()), output).await);
    secrets.extend(live(Arc::new(FileHandler::new(config).unwrap()), output).await);
    for server in SERVERS {
        let own = Own::shared(server);
        let handler = session_http::registry().connect(&own.url()).await.unwrap();
        secrets.extend(live(handler, output).await);
        own.clear().await.unwrap();
    }
    connect_in_vain(output).await;
    for (key, unit, description, value) in snapshotter.snapshot().into_vec() {
        output.debug(&(key, unit, description, value));
    }
    let text = output.bytes().clone();
    assert!(text.windows(10).any(|part| part == b"store call"), "tracing is captured");
    assert!(text.windows(13).any(|part| part == b"session_store"), "metrics are captured");
    assert!(text.windows(14).any(|part| part == b"shows its sess"), "panics are captured");
    assert_free(&text, &secrets);
    println!("figure: {} bytes of output searched for {} secrets", text.len(), secrets.len());
}

#[test]
fn a_secret_that_is_shown_is_noticed() {
    let found = |text: &str| {
        std::panic::catch_unwind(|| {
            assert_free(text.as_bytes(), &["Abcdefgh-secret".to_owned()]);
        })
    };
    assert!(found("nothing here").is_ok());
    assert!(found("it is abcdefgh-SECRET, you see").is_err());
    assert!(found(&format!("{:?}", b"abcdefgh-secret")).is_err());
}

#[tokio::test]
async fn labels_come_from_closed_sets() {
    let (_, snapshotter) = captured();
    live(Arc::new(MemoryHandler::new()), &Output::default()).await;
    let series = snapshotter.snapshot().into_vec();
    assert!(!series.is_empty() && series.len() < 200, "{} series", series.len());
    for (key, ..) in series {
        for label in key.key().labels() {
            let plain = label.value().bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            assert!(plain && label.value().len() < 24, "{label:?}");
        }
    }
}

#[tokio::test]
async fn what_is_logged_is_one_line() {
    let nasty = "ann\r\nFAKE: a line of its own\u{1b}[31m";
    let output = Output::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(output.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let sessions =
        SessionManager::builder(MemoryHandler::new()).observer(TracingObserver).build().unwrap();
    let session = sessions.create();
    session.set(nasty, nasty).unwrap();
    let bound = session.bind(nasty);
    if let Err(err) = &bound {
        assert!(!err.to_string().contains('\n'));
    }
    session.save().await.unwrap();
    output.say(&format!("{:?}", session.get::<u32>(nasty).unwrap_err()));
    output.say(&session.get::<u32>(nasty).unwrap_err().to_string());
    let text = String::from_utf8(output.bytes().clone()).unwrap();
    assert!(text.contains("created"), "{text}");
    for line in text.lines() {
        assert!(!line.starts_with("FAKE") && !line.contains('\u{1b}'), "{line:?}");
    }
}

#[tokio::test]
async fn malformed_ids_write_no_log() {
    let output = Output::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_ansi(false)
        .with_writer(output.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let sessions =
        SessionManager::builder(MemoryHandler::new()).observer(TracingObserver).build().unwrap();
    let layer = SessionLayer::builder(sessions).build().unwrap();
    for number in 0..1000 {
        let malformed = request(format!("__Host-sid=../../{number}").as_bytes());
        let answer = send(&layer, malformed, async |request| {
            text(request.session().await.unwrap().keys().unwrap().len().to_string())
        });
        assert_eq!(answer.await.status(), StatusCode::OK);
    }
    assert_eq!(output.bytes().len(), 0);
}

#[tokio::test]
async fn a_client_is_told_nothing_about_the_store() {
    let chaos = Chaos::new(MemoryHandler::new());
    let layer = SessionLayer::builder(SessionManager::new(chaos.clone())).build().unwrap();
    for operation in [Operation::Read, Operation::Create] {
        for kind in [ErrorKind::Unavailable, ErrorKind::PermissionDenied, ErrorKind::Internal] {
            chaos.fail(operation, kind);
            let known = request(format!("__Host-sid={}", "a".repeat(32)).as_bytes());
            let answer = send(&layer, known, async |request| match request.session().await {
                Ok(session) => {
                    session.set("n", 1).unwrap();
                    text("")
                }
                Err(err) => session_http::default_response(&err).map(Into::into),
            });
            let answer: Response<_> = answer.await;
            assert!(answer.status().is_server_error());
            assert_eq!(answer.body(), &format!("session: {kind}\n"), "the kind and nothing else");
            assert!(!answer.headers().contains_key("set-cookie"));
            chaos.heal();
        }
    }
}

#[tokio::test]
async fn nothing_of_a_session_is_in_an_address() {
    let layer = SessionLayer::new(MemoryHandler::new());
    let mut mine = String::new();
    for _ in 0..20 {
        let answer = send(&layer, request(mine.as_bytes()), async |request| {
            let session = request.session().await.unwrap();
            session.increment("n", 1).unwrap();
            session.regenerate().unwrap();
            Response::builder()
                .status(StatusCode::SEE_OTHER)
                .header("location", "/next")
                .body(http_body_util::Full::default())
                .unwrap()
        });
        let answer = answer.await;
        mine = cookie(&answer).unwrap();
        assert_eq!(answer.headers()["location"], "/next");
        let id = mine.split_once('=').unwrap().1;
        for (name, value) in answer.headers() {
            let carries = value.to_str().unwrap().contains(id);
            assert_eq!(carries, name == "set-cookie", "{name}");
        }
    }
}

#[tokio::test]
async fn no_file_of_the_store_holds_an_id() {
    let dir = tempfile::tempdir().unwrap();
    let config = FileConfig::new(dir.path().join("s")).with_durability(Durability::Process);
    let sessions = SessionManager::new(FileHandler::new(config).unwrap());
    let mut ids = Vec::new();
    for _ in 0..20 {
        let session = sessions.create();
        session.set("text", "in the clear").unwrap();
        session.bind("ann").unwrap();
        session.save().await.unwrap();
        ids.push(session.id().unwrap());
        session.regenerate().unwrap();
        session.save().await.unwrap();
        ids.push(session.id().unwrap());
    }
    let mut todo = vec![dir.path().to_owned()];
    let mut bytes = Vec::new();
    while let Some(path) = todo.pop() {
        bytes.extend(path.as_os_str().as_encoded_bytes());
        if path.is_dir() {
            todo.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            bytes.extend(std::fs::read(path).unwrap());
        }
    }
    let holds = |needle: &[u8]| bytes.windows(needle.len()).any(|part| part == needle);
    assert!(holds(b"in the clear"), "the files are those of the store");
    for id in ids {
        assert!(!holds(id.expose().as_bytes()));
        // Nor as the bytes that it spells.
        let spelled = data_encoding::BASE32_NOPAD.decode(id.expose().to_uppercase().as_bytes());
        assert!(!holds(&spelled.unwrap()));
    }
}
