//! The examples, run as a user would run them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// An example that serves, ended with this value.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(name: &str, arguments: &[&str]) -> Self {
        let mut process = Command::new(example(name))
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|err| panic!("example {name} is not built: {err}"));
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let address = lines
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("listening on http://").map(str::to_owned));
        Self { process, address: address.expect("the example says where it listens") }
    }

    /// Sends a request and returns its status line and headers, and its body.
    fn send(&self, method: &str, path: &str, cookie: &str, body: &str) -> (String, String) {
        let mut stream = self.open(method, path, cookie, body);
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    fn open(&self, method: &str, path: &str, cookie: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nCookie: {cookie}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        stream
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// Cargo builds the examples of a package beside its tests.
fn example(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    tests.parent().unwrap().parent().unwrap().join("examples").join(name)
}

/// Returns the cookie that a response sets, as a request sends it.
fn cookie(head: &str) -> String {
    let field = head.lines().find_map(|line| line.strip_prefix("set-cookie: "));
    field.expect("a session cookie").split(';').next().unwrap().to_owned()
}

#[test]
fn the_counter_signs_in_survives_a_restart_changes_users_and_signs_out() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("file:{}/sessions", folder.path().display());
    let start = || Server::start("counter", &[&store, "127.0.0.1:0"]);

    let server = start();
    let (head, number) = server.send("GET", "/somekey", "", "");
    assert!(number.trim().parse::<u32>().is_ok(), "{number}");
    let planted = cookie(&head);
    let (head, _) = server.send("POST", "/sign-in", &planted, "name=%3CAnn%3E");
    let signed_in = cookie(&head);
    assert_ne!(planted, signed_in);
    drop(server);

    let server = start();
    let (_, page) = server.send("GET", "/", &signed_in, "");
    assert!(page.contains("Hello, &lt;Ann&gt;") && page.contains("You are signed in."), "{page}");
    assert!(page.contains("<b id=engine>file</b>") && page.contains("somekey"), "{page}");
    assert!(!server.send("GET", "/", &planted, "").1.contains("Ann"));

    let (head, _) = server.send("POST", "/sign-in", &signed_in, "name=Bob");
    let bob = cookie(&head);
    let (_, page) = server.send("GET", "/", &bob, "");
    assert!(page.contains("Hello, Bob") && page.contains("You are signed in."), "{page}");
    assert!(page.contains("<b id=visits>1</b>") && !page.contains("somekey"), "{page}");
    assert!(!server.send("GET", "/", &signed_in, "").1.contains("Ann"));

    server.send("POST", "/sign-out", &bob, "");
    assert!(!server.send("GET", "/", &bob, "").1.contains("Bob"));
}

#[test]
fn the_save_path_is_where_it_was_set() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("session");
    let server = Server::start("save_path", &[path.to_str().unwrap(), "127.0.0.1:0"]);
    let (head, body) = server.send("GET", "/", "", "");
    assert_eq!(body, "Tom\n");
    assert!(head.contains("set-cookie"), "{head}");
    let shards = std::fs::read_dir(&path).unwrap().count();
    assert!(shards > 0);
}

#[test]
fn an_own_handler_counts_visits() {
    let server = Server::start("own_handler", &["127.0.0.1:0"]);
    let (head, first) = server.send("GET", "/", "", "");
    assert_eq!(first, "1\n");
    assert_eq!(server.send("GET", "/", &cookie(&head), "").1, "2\n");
}

#[test]
fn garbage_collection_reports_what_it_removed() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("file:{}/sessions", folder.path().display());
    let output = Command::new(example("gc")).arg(store).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "removed 0 of 0 records, left 0 that do not verify\n"
    );
}

#[test]
fn a_stream_of_events_ends_when_its_user_signs_out() {
    let server = Server::start("sse", &["memory:", "127.0.0.1:0"]);
    let (head, body) = server.send("GET", "/events", "", "");
    assert!(head.contains("401") && body.contains("sign in first"), "{head}");

    let user = cookie(&server.send("POST", "/sign-in", "", "").0);
    let mut events = BufReader::new(server.open("GET", "/events", &user, ""));
    let mut lines = String::new();
    while !lines.contains("event 1") {
        assert_ne!(events.read_line(&mut lines).unwrap(), 0, "ended too early: {lines}");
    }
    assert!(lines.contains("data: hello ann"), "{lines}");

    server.send("POST", "/sign-out", &user, "");
    events.read_to_string(&mut lines).unwrap();
    assert!(lines.ends_with("0\r\n\r\n"), "the body ends in good order: {lines:?}");
}
