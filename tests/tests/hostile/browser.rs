//! A real browser. Needs Debian's packages `chromium` and `chromium-driver`, and
//! the example `counter`, which `cargo test --workspace` builds.
//!
//! `localhost` counts as secure, so that a site on it may set `__Host-` cookies
//! without TLS; `127.0.0.1` is another site.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use axum::Router;
use axum::http::HeaderMap;
use axum::response::Html;
use axum::routing::{get, post};
use bytes::Bytes;
use http::Request;
use serde_json::json;
use session_core::MemoryHandler;
use session_http::{CookieConfig, SameSite, Session, SessionLayer, SessionManager};
use session_tests::{Chromium, Client};
use tokio::net::TcpListener;

/// The example, ended when dropped.
struct Counter {
    child: Child,
    reader: Option<JoinHandle<()>>,
    address: SocketAddr,
}

impl Counter {
    fn start(store: &str, address: &str) -> Self {
        let tests = std::env::current_exe().unwrap();
        let counter = tests.parent().unwrap().parent().unwrap().join("examples/counter");
        let mut child = Command::new(&counter)
            .args([store, address])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|err| panic!("{err}; build it with `cargo test --workspace`"));
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening on http://").unwrap();
        let address = address.parse().unwrap();
        let reader = std::thread::spawn(move || drop(stdout.read_to_end(&mut Vec::new())));
        Self { child, reader: Some(reader), address }
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        drop(self.reader.take().map(JoinHandle::join));
    }
}

#[tokio::test]
async fn the_counter_signs_in_outlives_a_restart_and_signs_out_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let store = format!("file:{}/sessions", dir.path().display());
    let server = Counter::start(&store, "127.0.0.1:0");
    let address = server.address;
    let home = format!("http://{address}/");
    let chromium = Chromium::start("").await;

    chromium.go(&home).await;
    assert_eq!(chromium.text("h1").await, "Hello, stranger");
    let planted = chromium.cookies().await[0]["value"].clone();
    chromium.enter("input[name=name]", "Ann").await;
    chromium.click("button").await;
    assert_eq!(chromium.text("h1").await, "Hello, Ann");
    assert_eq!(chromium.text("#notice").await, "You are signed in.");
    let signed_in = chromium.cookies().await[0]["value"].as_str().unwrap().to_owned();
    assert_ne!(planted, signed_in, "a new id at the login");

    let before: u32 = chromium.text("#visits").await.parse().unwrap();
    chromium.reload().await;
    assert_eq!(chromium.text("#visits").await, (before + 1).to_string());
    assert_eq!(chromium.text("#notice").await, "", "shown once");

    drop(server);
    let server = Counter::start(&store, &address.to_string());
    chromium.reload().await;
    assert_eq!(chromium.text("h1").await, "Hello, Ann");
    assert_eq!(chromium.text("#visits").await, (before + 2).to_string());

    chromium.click("button").await;
    assert_eq!(chromium.text("h1").await, "Hello, stranger");
    for old in [&signed_in, planted.as_str().unwrap()] {
        let request = Request::get("/").header("host", "localhost");
        let request = request.header("cookie", format!("sid={old}")).body(Bytes::new()).unwrap();
        let page = Client::default().send(address, request).await.unwrap();
        assert!(!String::from_utf8_lossy(&page.body).contains("Ann"), "an old id works");
    }
    chromium.quit().await;
    drop(server);
}

/// A site that shows which cookies it was sent.
struct Site {
    address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Site {
    async fn start(cookie: CookieConfig, elsewhere: String) -> Self {
        let sessions = SessionManager::new(MemoryHandler::new());
        let layer = SessionLayer::builder(sessions).cookie(cookie).build().unwrap();
        let shown = async |headers: HeaderMap| {
            let sent = headers.get("cookie").map_or("none", |sent| sent.to_str().unwrap());
            Html(format!("<p id=sent>{sent}</p>"))
        };
        let elsewhere = move || async move {
            Html(format!(
                "<form method=post action='{elsewhere}/shown'><button>Post</button></form>\
                 <a href='{elsewhere}/shown'>Link</a><iframe src='{elsewhere}/begin'></iframe>"
            ))
        };
        let begin = async |session: Session| {
            session.set("n", 1).unwrap();
            Html("<p id=begun>begun</p>")
        };
        let app = Router::new()
            .route("/begin", get(begin))
            .layer(layer)
            .route("/shown", post(shown).get(shown))
            .route("/elsewhere", get(elsewhere));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, task }
    }

    /// The site by its own name.
    fn own(&self) -> String {
        format!("http://localhost:{}", self.address.port())
    }

    /// The same server as another site.
    fn other(&self) -> String {
        format!("http://127.0.0.1:{}", self.address.port())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_browser_keeps_the_cookie_as_it_was_meant() {
    let site = Site::start(CookieConfig::default(), String::new()).await;
    let trap = Site::start(CookieConfig::default(), site.own()).await;
    let chromium = Chromium::start("").await;
    chromium.go(&format!("{}/begin", site.own())).await;

    let cookies = chromium.cookies().await;
    let [cookie] = &cookies[..] else { panic!("{cookies:?}") };
    assert_eq!(cookie["name"], "__Host-sid");
    assert_eq!((&cookie["path"], &cookie["domain"]), (&json!("/"), &json!("localhost")));
    assert_eq!((&cookie["secure"], &cookie["httpOnly"]), (&json!(true), &json!(true)));
    assert_eq!((&cookie["sameSite"], &cookie["expiry"]), (&json!("Lax"), &json!(null)));
    let id = cookie["value"].as_str().unwrap();

    assert_eq!(chromium.run("return document.cookie").await, "");
    // A script cannot plant one either, nor write over this one.
    let planting = "document.cookie = '__Host-sid=planted; Path=/; Secure'; return document.cookie";
    assert_eq!(chromium.run(planting).await, "");
    chromium.go(&format!("{}/shown", site.own())).await;
    assert_eq!(chromium.text("#sent").await, format!("__Host-sid={id}"));

    // A form of another site comes without it, a link with it.
    chromium.go(&format!("{}/elsewhere", trap.other())).await;
    chromium.click("button").await;
    assert_eq!(chromium.text("#sent").await, "none");
    chromium.go(&format!("{}/elsewhere", trap.other())).await;
    chromium.click("a").await;
    assert_eq!(chromium.text("#sent").await, format!("__Host-sid={id}"));
    chromium.quit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partitioned_cookie_stays_with_the_site_that_embeds_it() {
    let cookie = CookieConfig::default().with_same_site(SameSite::None).with_partitioned(true);
    let site = Site::start(cookie, String::new()).await;
    let embedding = Site::start(CookieConfig::default(), site.own()).await;
    let chromium = Chromium::start("").await;
    chromium.go(&format!("{}/elsewhere", embedding.other())).await;
    let all = chromium.devtools("Storage.getCookies", json!({})).await;
    let all = all["cookies"].as_array().unwrap();
    let [cookie] = &all[..] else { panic!("{all:?}") };
    assert_eq!((&cookie["name"], &cookie["secure"]), (&json!("__Host-sid"), &json!(true)));
    let embedder = cookie["partitionKey"]["topLevelSite"].as_str().unwrap();
    assert_eq!(embedder, "http://127.0.0.1");
    // By itself the site is another place, where there is no cookie.
    chromium.go(&format!("{}/shown", site.own())).await;
    assert_eq!(chromium.text("#sent").await, "none");
    chromium.quit().await;
}
